"""What a release does, step by step: one module per function, over ports, with no SDK in sight.

Every step can run twice, in any order, and be killed anywhere, with the same end state.
"""
