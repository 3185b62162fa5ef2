"""`imagegate verify`: which gate an image passed, on which evidence, and whether that is valid; also offline."""
