"""A storm of pushes into the sandbox, in which events and calls get lost and processes are killed."""
