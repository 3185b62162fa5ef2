"""The images that a registry stores now, their last pulls, sizes and findings."""
