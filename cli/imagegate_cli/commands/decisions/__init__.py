"""`imagegate decide`: waivers, approvals, break-glass and revocations."""
