"""Settings of repositories and of the registry: compared with the baseline, changed, and watched for drift."""
