"""What is decided, and how. Standard library only, no I/O, the time is passed in."""
