"""The results of scanners: findings, the state of scans, packages and their versions."""
