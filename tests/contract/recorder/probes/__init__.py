"""The probes: one module per service, with the behaviours that API calls alone can show."""
