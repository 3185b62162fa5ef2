"""One module per verb, with one click command of that name."""
