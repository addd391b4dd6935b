from .architectures import ARCHITECTURES as ARCHITECTURES
from .architectures import Architecture as Architecture
from .heads import ConditionedHead as ConditionedHead
from .heads import Head as Head
from .heads import JointHead as JointHead
from .heads import Scaling as Scaling
from .outcomes import OutcomeModel as OutcomeModel
from .policy import Policy as Policy
