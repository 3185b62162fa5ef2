"""`imagegate release --adopt`: releases images from before the installation, as if they were pushed."""
