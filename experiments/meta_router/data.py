"""Where a study's queries come from: a file with both labels, or the embedded generator."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.meta_router.config import EMBEDDED_ROWS, SHARE_OF_TEST, MetaRouterConfig
from experiments.meta_router.protocol import Data
from routerjax.data.synthetic.gains import MEAN, synthetic_gains
from routerjax.errors import InputError
from routerjax.training.checkpoint import digest


class Source(NamedTuple):
    """Where a study's queries come from.

    Attributes:
      name: of the study.
      make: (arrays, key) → Data of a run, traceable.
      arrays: what `make` needs, on the device.
      rows, test_rows: of a run.
      mean_gain: mean gold gain, by which curves are divided; 1 where it is not clearly off 0.
      known_propensity: whether gold rows are drawn at random.
      components: principal components to fit; None keeps the columns.
      limit: width of the labels' range, beyond which no bias can lie.
      note: what a reader of the report should know.
      fingerprint: of the data.
      published: whether these are the authors' own labels.
    """

    name: str
    make: Callable[[Any, Any], Data]
    arrays: Any
    rows: int
    test_rows: int
    mean_gain: float
    known_propensity: bool
    components: int | None
    limit: float
    note: str
    fingerprint: str
    published: bool = False


def sources(config: MetaRouterConfig) -> Iterator[Source]:
    """One source per preference column of the file, or per bias and assignment."""
    if config.labels is not None:
        for preference in config.preference:
            yield _from_file(config, preference)
        return
    for assignment in config.assignment:
        for bias in config.bias:
            yield _embedded(config, bias, assignment)


def _from_file(config: MetaRouterConfig, preference: str) -> Source:
    from routerjax.data.io.gain_labels import read_labels  # the readers need more packages

    assert config.labels is not None
    pairs = read_labels(
        config.labels,
        gold=config.gold,
        preference=preference,
        group=config.group,
        embeddings=config.embeddings,
        encoder=config.encoder,
        both=True,
    )
    n, test_rows = len(pairs), config.test_rows
    n = min(n, config.rows) if config.rows else n
    if n < 2 * test_rows:
        test_rows = int(SHARE_OF_TEST * n)
    left = n - test_rows - max(config.gold_rows)
    if left < 2 * config.folds:
        problem = (
            f"{n} rows with both labels leave {left} preference rows beside {test_rows} test and "
            f"{max(config.gold_rows)} gold rows; give more rows or fewer gold rows"
        )
        raise InputError(problem, source=config.labels)
    width = pairs.embeddings.shape[1]
    if config.components > width and not pairs.components:
        problem = f"components is {config.components}, but the embeddings have {width} columns"
        raise InputError(problem, source=config.labels)
    mean, error = float(pairs.gold.mean()), float(pairs.gold.std(ddof=1) / np.sqrt(len(pairs)))
    clear = abs(mean) > 2 * error
    groups = int(pairs.groups.max()) + 1
    labels = np.concatenate([pairs.gold, pairs.preference])
    agreement = np.corrcoef(pairs.gold, pairs.preference)[0, 1]
    note = (
        f"{len(pairs)} rows ({groups} distinct queries) with both labels, {pairs.dropped} dropped "
        f"for want of one; {n} rows a run, {test_rows} of them test. Mean gold "
        f"gain {mean:.3f} ± {error:.3f}, mean preference gain {pairs.preference.mean():.3f}, "
        f"correlation {agreement:.2f}."
    )
    if not clear:
        note += " The mean gold gain is within two standard errors of 0: curves are not divided."
    return Source(
        name=preference,
        make=functools.partial(_drawn, n),
        arrays=Data(
            embeddings=jnp.asarray(pairs.embeddings),
            gold_label=jnp.asarray(pairs.gold),
            preference_label=jnp.asarray(pairs.preference),
            score=jnp.asarray(pairs.gold),
            groups=jnp.asarray(pairs.groups),
            log_odds=jnp.zeros(len(pairs)),
        ),
        rows=n,
        test_rows=test_rows,
        mean_gain=mean if clear else 1.0,
        known_propensity=True,
        components=None if pairs.components or config.components == 0 else config.components,
        limit=float(np.ptp(labels)),
        note=note,
        fingerprint=digest((pairs.embeddings, pairs.gold, pairs.preference, pairs.groups)),
        published=pairs.components and (config.gold, preference) == ("GL", "PL"),
    )


def _drawn(rows: int, data: Data, key) -> Data:
    """`rows` of the file's rows, drawn anew for every run; all where it has no more."""
    count = data.groups.shape[0]
    if rows == count:
        return data
    index = jax.random.permutation(key, count)[:rows]
    data = jax.tree.map(lambda leaf: leaf[index], data)
    _, groups = jnp.unique(data.groups, return_inverse=True, size=rows)
    return data._replace(groups=groups)


def _embedded(config: MetaRouterConfig, bias: str, assignment: str) -> Source:
    rows, fewest = config.rows or EMBEDDED_ROWS, 2 * config.test_rows + max(config.gold_rows)
    if rows < fewest:
        problem = f"rows is {rows}; twice the test rows plus the gold rows are needed, {fewest}"
        raise InputError(problem)
    generate = functools.partial(
        synthetic_gains,
        rows=rows,
        bias=bias,
        strength=config.strength,
        assignment=assignment,
    )

    def make(arrays, key):
        made = generate(key)
        return Data(
            embeddings=made.embeddings,
            gold_label=made.gold_label,
            preference_label=made.preference_label,
            score=made.psi,
            groups=jnp.arange(rows),
            log_odds=made.log_odds,
        )

    return Source(
        name=f"{bias}, {assignment}",
        make=make,
        arrays=(),
        rows=rows,
        test_rows=config.test_rows,
        mean_gain=MEAN,
        known_propensity=assignment == "random",
        components=None,
        limit=6.0,  # labels are ψ or η with noise, unbounded; this is their range in practice
        note=(
            f"Synthetic: {rows} fresh rows a run, bias '{bias}' of strength "
            f"{config.strength:g}, gold rows drawn {_how(assignment)}; routers are evaluated by "
            "the true gain ψ."
        ),
        fingerprint="synthetic",
    )


def _how(assignment: str) -> str:
    return "evenly" if assignment == "random" else "by x (propensity estimated)"
