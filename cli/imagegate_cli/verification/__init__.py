"""`imagegate verify`: which gate an image passed, on what evidence, and whether that holds; also offline."""
