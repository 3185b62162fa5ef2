"""Releases on the command line: finds, follows and shows them."""
