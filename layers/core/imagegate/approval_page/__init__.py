"""The page on which people approve or reject by a link."""
