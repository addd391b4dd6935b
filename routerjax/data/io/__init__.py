"""Files as records, and records as files."""
