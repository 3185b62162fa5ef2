"""Commands about images on their way through the stages."""
