from .artefacts.router import Router as Router
from .artefacts.router import Routes as Routes
from .artefacts.router import route as route
from .data.encoders.encoding import encode as encode
from .data.encoders.encoding import encoded as encoded
from .data.io.files import (
    read_log as read_log,
)
from .data.io.files import (
    read_table as read_table,
)
from .data.io.files import (
    write_log as write_log,
)
from .data.io.files import (
    write_table as write_table,
)
from .data.synthetic.logging_policies import simulate_log as simulate_log
from .data.synthetic.table import embedded_table as embedded_table
from .errors import InputError as InputError
from .estimators.counterfactual import estimate as estimate
from .estimators.envelope import upper_envelope as upper_envelope
from .estimators.overlap import overlap as overlap
from .losses.surrogates import (
    classification_bound as classification_bound,
)
from .losses.surrogates import (
    softmax_regret as softmax_regret,
)
from .pipelines.evaluate import Evaluation as Evaluation
from .pipelines.evaluate import evaluate as evaluate
from .pipelines.fit_log import FitConfig as FitConfig
from .pipelines.fit_log import fit as fit
from .pipelines.nuisance import NuisanceConfig as NuisanceConfig
from .records.on_disk import Stored as Stored
from .records.tables import Estimates as Estimates
from .records.tables import Log as Log
from .records.tables import Table as Table
from .training.routing import RouterConfig as RouterConfig

__version__: str
