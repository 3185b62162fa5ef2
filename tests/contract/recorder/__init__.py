"""The contract recorder: it writes down the real answers of AWS, and compares the sandbox with them.

Rules: it makes its own throw-away resources and removes them; it changes no setting of an account; it writes nothing
that identifies the account.
"""
