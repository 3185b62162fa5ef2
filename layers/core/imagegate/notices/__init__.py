"""Messages to people and deployers: one module per subject, all of them a `Message`."""
