"""`imagegate doctor`: checks what the command line needs, and says what to do."""
