"""Commands about the content of the registry, its settings, and who uses it."""
