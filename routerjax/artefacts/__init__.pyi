from .gains import GainRoutes as GainRoutes
from .gains import SavedGains as SavedGains
from .loading import load as load
from .router import Router as Router
from .router import route as route
from .routes import Routes as Routes
