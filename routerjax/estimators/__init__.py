"""What a log and its labels say: counterfactual estimates, label bias, the objective of both."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
