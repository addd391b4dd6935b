"""Public tables, and prices of models."""
