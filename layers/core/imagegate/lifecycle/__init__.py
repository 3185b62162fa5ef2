"""Lifecycle rules of Amazon ECR: read strictly, and simulated on the images of a repository."""
