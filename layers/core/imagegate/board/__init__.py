"""The board: the state of each application at each stage, as a page and as JSON."""
