"""Serve, log, refit, promote, round after round, on users whose answers are known."""
