"""What an encoder costs and what it is worth to a router."""
