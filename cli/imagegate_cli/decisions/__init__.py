"""What people decide: asked of the one function that may, and shown as it stands."""
