# What `import routerjax as rj` offers. The names are imported when they are first used.

# Errors and warnings
from .errors import DataWarning as DataWarning
from .errors import InputError as InputError

# Records, and the files they come from
from .records.gains import LabelledGains as LabelledGains
from .records.logs import Log as Log
from .records.on_disk import Stored as Stored
from .records.repricing import PriceChange as PriceChange
from .records.repricing import repriced as repriced
from .records.tables import Estimates as Estimates
from .records.tables import Table as Table
from .data.checks.finding import Finding as Finding
from .data.checks.findings import findings as findings
from .data.checks.findings import warn_of as warn_of
from .data.inspection.inspecting import inspect as inspect
from .data.inspection.record import Inspection as Inspection
from .data.encoders.encoding import encode as encode
from .data.encoders.encoding import encoded as encoded
from .data.io.files import read_log as read_log
from .data.io.files import read_table as read_table
from .data.io.writing import write_log as write_log
from .data.io.writing import write_table as write_table
from .data.io.gain_labels import GainLabels as GainLabels
from .data.io.gain_labels import read_labels as read_labels
from .data.public.tables import PUBLIC_TABLES as PUBLIC_TABLES
from .data.public.tables import get_public_table as get_public_table
from .data.public.tables import load_public_table as load_public_table
from .data.synthetic.logging_policies import simulate_log as simulate_log
from .data.synthetic.table import embedded_table as embedded_table

# From a log to a router (Causal LLM Routing)
from .pipelines.fit_log import fit as fit
from .pipelines.prepare import Prepared as Prepared
from .pipelines.prepare import prepare as prepare
from .pipelines.evaluate import evaluate as evaluate
from .pipelines.lines import Evaluation as Evaluation
from .pipelines.lines import evaluation_of as evaluation_of
from .pipelines.plan_records import Plan as Plan
from .pipelines.plan import plan as plan
from .artefacts.hub import push_to_hub as push_to_hub
from .artefacts.loading import load as load
from .artefacts.router import Router as Router
from .artefacts.routing import route as route
from .artefacts.routes import Routes as Routes
from .training.routing import Problem as Problem
from .training.routing import train_router as train_router
from .training.routing import train_routers as train_routers
from .models.architectures import ARCHITECTURES as ARCHITECTURES

# From gold and preference labels to a router (Meta-Router)
from .pipelines.fit_gains import fit_labels as fit_labels
from .pipelines.meta_router import FittedGains as FittedGains
from .pipelines.meta_router import fit_gains as fit_gains
from .pipelines.judge_scores import CorrectedLog as CorrectedLog
from .pipelines.judge_scores import correct_log as correct_log
from .pipelines.regressions import LEARNERS as LEARNERS
from .pipelines.regressions import REGRESSIONS as REGRESSIONS
from .artefacts.gains import GainRoutes as GainRoutes
from .artefacts.gains import SavedGains as SavedGains
from .estimators.bias import Learner as Learner
from .estimators.bias import dr_learner as dr_learner
from .estimators.bias import dr_pseudo_outcome as dr_pseudo_outcome
from .estimators.bias import learn_bias as learn_bias
from .estimators.bias import r_learner as r_learner
from .estimators.bias import r_pseudo_outcome as r_pseudo_outcome
from .estimators.cross_fit import Regress as Regress
from .estimators.integrative import corrected_label as corrected_label
from .estimators.integrative import integrative_loss as integrative_loss
from .estimators.ridge import kernel_ridge as kernel_ridge
from .estimators.ridge import ridge as ridge

# Settings
from .training.config import FitConfig as FitConfig
from .training.config import GainConfig as GainConfig
from .training.config import NuisanceConfig as NuisanceConfig
from .training.config import RouterConfig as RouterConfig
from .training.config import Schedule as Schedule
from .training.checkpoint import Checkpoints as Checkpoints
from .training.execution import Execution as Execution
from .training.parallel import Devices as Devices
from .training.sweep import Sweep as Sweep

# Surrogates of routing regret
from .losses.known import SURROGATES as SURROGATES
from .losses.by_name import resolve as resolve
from .losses.surrogates import classification_bound as classification_bound
from .losses.surrogates import counterfactual_risk as counterfactual_risk
from .losses.surrogates import pairwise_ranking as pairwise_ranking
from .losses.surrogates import soft_regret as soft_regret
from .losses.surrogates import softmax_regret as softmax_regret
from .losses.surrogates import spo_plus as spo_plus
from .losses.surrogates import weighted_classification as weighted_classification

# Counterfactual estimates
from .estimators.counterfactual import ESTIMATORS as ESTIMATORS
from .estimators.counterfactual import Estimator as Estimator
from .estimators.counterfactual import doubly_robust as doubly_robust
from .estimators.counterfactual import estimate as estimate
from .estimators.counterfactual import importance_weights as importance_weights
from .estimators.counterfactual import resolve_estimator as resolve_estimator
from .estimators.envelope import Envelope as Envelope
from .estimators.envelope import upper_envelope as upper_envelope
from .estimators.overlap import Overlap as Overlap
from .estimators.overlap import overlap as overlap

# How good a policy is: on tables, on logs (ope.value), over cost weights
from .evaluation import ope as ope
from .evaluation.curves import Curve as Curve
from .evaluation.curves import Span as Span
from .evaluation.curves import area as area
from .evaluation.curves import cost_to_reach as cost_to_reach
from .evaluation.curves import curve as curve
from .evaluation.curves import peak as peak
from .evaluation.curves import span as span
from .evaluation.intervals import Interval as Interval
from .evaluation.intervals import mean_interval as mean_interval
from .evaluation.off_policy import OFF_POLICY as OFF_POLICY
from .evaluation.off_policy import OffPolicy as OffPolicy
from .evaluation.metrics import Outcome as Outcome
from .evaluation.metrics import collapse as collapse
from .evaluation.metrics import gap_recovered as gap_recovered
from .evaluation.metrics import outcome as outcome
from .evaluation.metrics import paired_difference as paired_difference
from .evaluation.metrics import shares as shares
from .evaluation.published import average_improvement_in_quality as average_improvement_in_quality
from .evaluation.published import cost_ratio as cost_ratio
from .evaluation.published import normalized_area as normalized_area
from .evaluation.published import peak_score as peak_score
from .evaluation.published import quality_neutral_cost as quality_neutral_cost
from .evaluation.published import routing_collapse_index as routing_collapse_index
from .evaluation.two_models import TwoModels as TwoModels
from .evaluation.two_models import average_gap_recovered as average_gap_recovered
from .evaluation.two_models import calls_for_gap as calls_for_gap
from .evaluation.two_models import performance_gap_recovered as performance_gap_recovered

__version__: str
