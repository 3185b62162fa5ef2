"""`imagegate release --import`: copies an image from another registry into a repository of a first stage."""
