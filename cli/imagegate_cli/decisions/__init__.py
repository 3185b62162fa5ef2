"""Decisions of people: parsed from the command line, sent to the function that records them, and shown."""
