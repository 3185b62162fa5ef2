"""Clean-up in AWS: images in ECR, previews of lifecycle policies, and what runs in all accounts."""
