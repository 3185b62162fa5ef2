"""Text on the terminal: each text is one line and steers nothing."""
