"""The records that travel through routerjax: frozen, checked where they are built."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
