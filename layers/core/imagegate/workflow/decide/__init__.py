"""Decisions of people, by `decide` and by the approval page: one module per power."""
