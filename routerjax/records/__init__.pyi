from .gains import LabelledGains as LabelledGains
from .on_disk import Stored as Stored
from .tables import Estimates as Estimates
from .tables import Log as Log
from .tables import Table as Table
