"""One image making one hop to its next stage."""
