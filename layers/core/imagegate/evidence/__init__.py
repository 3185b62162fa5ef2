"""What is attached to an image."""
