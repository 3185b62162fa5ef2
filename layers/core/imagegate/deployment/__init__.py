"""What may run, and going back."""
