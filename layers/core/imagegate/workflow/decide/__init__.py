"""What people decide, by `decide` and the approval page. Each power is a module."""
