"""Events and requests that come in from outside."""
