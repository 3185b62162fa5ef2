"""Images and registries: what manifests say, and the distribution API."""
