from .gains import LabelledGains as LabelledGains
from .logs import Log as Log
from .on_disk import Stored as Stored
from .tables import Estimates as Estimates
from .tables import Table as Table
