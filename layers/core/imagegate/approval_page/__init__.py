"""The page that approvals are given on."""
