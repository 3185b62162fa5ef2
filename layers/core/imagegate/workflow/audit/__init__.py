"""The audit of a registry: reads repositories one by one, over ports."""
