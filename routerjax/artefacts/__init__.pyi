from .gains import GainRoutes as GainRoutes
from .gains import SavedGains as SavedGains
from .hub import push_to_hub as push_to_hub
from .loading import load as load
from .router import Router as Router
from .routes import Routes as Routes
from .routing import route as route
