"""One parser for each format of scanner reports."""
