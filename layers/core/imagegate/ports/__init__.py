"""The protocols that the steps need from outside: `imagegate.aws` and `imagegate.oci` fulfil them, tests fake them."""
