"""Amazon ECS: what a service revision has, and what runs."""
