"""`imagegate release --import`: an image from another registry, brought into a first stage by whoever asks."""
