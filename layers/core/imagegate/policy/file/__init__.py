"""The policy's file, read and checked: YAML with marks, shapes, inheritance."""
