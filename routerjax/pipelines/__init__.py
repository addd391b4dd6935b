"""From data to a router, and from a router to its evaluation."""
