"""The way to zero: what would have to be done before a gate blocks nothing that stands."""
