"""One module per service: what of it can be asked for with API calls alone."""
