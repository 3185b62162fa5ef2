"""Risk: whether a released image would pass its gate today. Decides only."""
