"""The audit in AWS: what the account and its repositories have, the runs of the audit, and its reports."""
