"""The audit: what is wrong with repositories, images, the registry, access and cost, and since when. Decides only."""
