"""One training loop for all: runs, sweeps of runs, devices, checkpoints."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
