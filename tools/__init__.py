"""Programs for the developers of imagegate; never part of what runs."""
