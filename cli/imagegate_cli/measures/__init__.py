"""Numbers about releases, computed from the stream of the ledger."""
