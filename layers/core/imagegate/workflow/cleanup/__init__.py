"""Clean-up of repositories: reads what is there and what keeps it, plans, and carries out a plan."""
