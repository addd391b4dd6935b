"""A router put to work: decisions, their log, the service, refits and budgets."""
