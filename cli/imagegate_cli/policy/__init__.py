"""`imagegate policy`: policy files, and what a policy says or would say."""
