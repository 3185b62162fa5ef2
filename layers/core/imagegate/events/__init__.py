"""What comes in: events and requests."""
