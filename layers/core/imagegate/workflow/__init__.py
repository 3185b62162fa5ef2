"""The steps of a release: one module per function, over ports, without any SDK.

Every step can run twice, in any order, and be killed at any point, with the same end state.
"""
