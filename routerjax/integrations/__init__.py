"""routerjax inside other people's gateways; each module needs the extra of its name."""
