"""What people allow: approvals, break-glass, and who they are."""
