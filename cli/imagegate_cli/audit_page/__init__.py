"""The report of an audit as one page, with charts, for people and for printing."""
