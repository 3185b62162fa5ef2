"""Talks to AWS: one module for each service."""
