"""Verifies Notation signatures."""
