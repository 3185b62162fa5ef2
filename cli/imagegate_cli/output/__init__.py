"""Output on the terminal. Text from outside is one printable line, and cannot steer the terminal."""
