"""The contract recorder: what AWS really answers, written down once, and held against the sandbox.

Rules: it makes its own throw-away things and removes them again; it changes no setting of an account; it writes
nothing that says whose account it was.
"""
