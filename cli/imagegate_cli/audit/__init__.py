"""The audit on a command line: how it is made, stored and shown."""
