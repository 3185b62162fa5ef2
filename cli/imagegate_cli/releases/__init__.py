"""Releases at the command line: find one, follow it, show it."""
