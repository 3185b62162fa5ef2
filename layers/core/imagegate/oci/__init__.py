"""Images and registries: digests, manifests, image configs, and the client for the distribution API."""
