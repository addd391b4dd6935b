"""Records out of the columns of files: logs, tables, labels, decisions, queries."""
