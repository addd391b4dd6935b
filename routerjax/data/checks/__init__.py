"""Numbers that cannot be true: cheap tests of what a log or a table says."""
