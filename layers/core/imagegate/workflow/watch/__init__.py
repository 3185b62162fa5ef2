"""Work beside the releases: the reconciler, and checks of deployments and of deleted images."""
