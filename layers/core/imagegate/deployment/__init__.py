"""Deployments: whether an image may run, and rollback."""
