"""Files written whole or not at all, caches, provenance."""
