"""The report of an audit in the formats of other tools."""
