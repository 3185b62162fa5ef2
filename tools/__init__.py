"""Programs for those who work on imagegate; never part of what runs."""
