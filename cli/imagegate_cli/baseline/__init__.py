"""The settings of repositories and of the registry, planned and applied by the policy's baseline."""
