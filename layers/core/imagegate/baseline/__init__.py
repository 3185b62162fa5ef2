"""The baseline: the settings that repositories and the registry should have, and the changes that lead there."""
