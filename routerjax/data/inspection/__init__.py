"""What an unknown file holds: its fields, the roles they seem to play, and how to read it."""
