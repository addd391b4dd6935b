"""routerjax: learn from a log which language model should answer which query.

>>> import routerjax as rj                                            # doctest: +SKIP
>>> router = rj.fit(rj.read_log("log.parquet"))                       # doctest: +SKIP
>>> rj.route(router, ["What is 2 + 2?"], cost_weight=50).models       # doctest: +SKIP
>>> rj.evaluate(router, rj.read_table("test.parquet"))                # doctest: +SKIP

Names are imported when they are first used, so that `import routerjax` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Estimates": "records",
    "Evaluation": "comparison",
    "FitConfig": "fitting",
    "InputError": "errors",
    "Log": "records",
    "NuisanceConfig": "nuisance",
    "Router": "router",
    "RouterConfig": "training.routing",
    "Routes": "router",
    "Stored": "stored",
    "Table": "records",
    "classification_bound": "surrogates",
    "embedded_table": "data.synthetic",
    "encode": "data.encoders",
    "encoded": "data.encoders",
    "estimate": "counterfactual",
    "evaluate": "comparison",
    "fit": "fitting",
    "overlap": "counterfactual",
    "read_log": "data.files",
    "read_table": "data.files",
    "route": "router",
    "simulate_log": "data.logging_policies",
    "softmax_regret": "surrogates",
    "upper_envelope": "envelope",
    "write_log": "data.files",
    "write_table": "data.files",
}
__all__ = sorted(_HOME)

if TYPE_CHECKING:
    from routerjax.comparison import Evaluation, evaluate
    from routerjax.counterfactual import estimate, overlap
    from routerjax.data.encoders import encode, encoded
    from routerjax.data.files import read_log, read_table, write_log, write_table
    from routerjax.data.logging_policies import simulate_log
    from routerjax.data.synthetic import embedded_table
    from routerjax.envelope import upper_envelope
    from routerjax.errors import InputError
    from routerjax.fitting import FitConfig, fit
    from routerjax.nuisance import NuisanceConfig
    from routerjax.records import Estimates, Log, Table
    from routerjax.router import Router, Routes, route
    from routerjax.stored import Stored
    from routerjax.surrogates import classification_bound, softmax_regret
    from routerjax.training.routing import RouterConfig


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'routerjax' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"routerjax.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
