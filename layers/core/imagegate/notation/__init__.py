"""The verification of Notation signatures."""
