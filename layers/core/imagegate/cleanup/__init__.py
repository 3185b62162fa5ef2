"""Clean-up: which images of a repository may go, why each of the others stays, and in which order they go."""
