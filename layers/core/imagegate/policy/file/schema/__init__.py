"""The shapes of the policy file: which keys there are, which values they may have, and what they become."""
