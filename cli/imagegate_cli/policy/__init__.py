"""Policy files on the command line: checked, explained, replayed over past decisions, and reported on."""
