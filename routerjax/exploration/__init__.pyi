from .drawing import drawn as drawn
from .limits import Limits as Limits
from .limits import explorable as explorable
from .limits import rate_within as rate_within
from .policies import best_of as best_of
from .policies import share_of_best as share_of_best
from .policies import with_floor as with_floor
