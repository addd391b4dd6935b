"""Files of every format as Arrow tables, and back."""
