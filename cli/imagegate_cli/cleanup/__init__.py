"""`imagegate cleanup`: its parts, and what it shows."""
