"""Surrogates of routing regret: one row's logits and utilities to a loss."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
