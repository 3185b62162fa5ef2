"""The operator's command line: reads the ledger, asks for releases, decides nothing itself."""
