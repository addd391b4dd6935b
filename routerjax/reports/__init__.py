"""Records of results as tables, figures and sentences."""
