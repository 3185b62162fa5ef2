"""What scanners say: findings, scans and the packages that they are about."""
