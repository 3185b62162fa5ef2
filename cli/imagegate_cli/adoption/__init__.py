"""`imagegate release --adopt`: images from before the installation are released like pushes."""
