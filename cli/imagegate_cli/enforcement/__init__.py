"""The enforcement plan: the fewest actions and waivers after which a gate blocks no current image."""
