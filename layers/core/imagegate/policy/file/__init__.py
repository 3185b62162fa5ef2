"""The policy file: YAML with line numbers, inheritance, shapes and validation."""
