"""The callers of the registry, and the permissions to call it."""
