"""What an image must satisfy."""
