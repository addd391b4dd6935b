"""Policies that explore with probabilities that are computed, written down, and drawn from."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
