"""routerjax: learn from a log which language model should answer which query.

>>> import routerjax as rj                                            # doctest: +SKIP
>>> router = rj.fit(rj.read_log("log.parquet"))                       # doctest: +SKIP
>>> rj.route(router, ["What is 2 + 2?"], cost_weight=50).models       # doctest: +SKIP
>>> rj.evaluate(router, rj.read_table("test.parquet"))                # doctest: +SKIP

The names are those of `__init__.pyi`. They are imported when they are first used, so that
`import routerjax` costs next to nothing.
"""

import lazy_loader as lazy

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
