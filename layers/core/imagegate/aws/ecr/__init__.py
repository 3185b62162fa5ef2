"""Amazon ECR: images, scans, the protocol of the registry, and settings."""
