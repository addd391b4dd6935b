"""The embedded table: a synthetic stand-in for RouterBench whose truth is known.

Every number made here is synthetic. The models carry the public names of the eleven models of
RouterBench because prices, task means and strengths imitate theirs, roughly and from public
figures; nothing here measures those models. What the table offers in exchange is the truth: the
mean quality and cost of every model on every query, so that regret, bias and coverage can be
checked exactly.

Query i has a task k, a difficulty d_i and four topic coordinates z_i, all standard normal:

    P(model m is right on i) = sigmoid(a_km − SLOPE·d_i + skill_m · z_i)
    mean cost of m on i      = price_in_m · prompt tokens_i + price_out_m · answer tokens_im
    answer tokens_im         = length_k · verbosity_m · exp(STRETCH·d_i)

with a_km such that the mean of P over queries of task k is `TASK_MEANS`[k, m].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from routerjax.data.synthetic.prompts import write_prompts
from routerjax.errors import InputError
from routerjax.records.tables import Estimates, Table

SYNTHETIC_NOTICE = (
    "These numbers come from a synthetic table with known truth; the model names stand for a "
    "likeness and say nothing about the real models."
)


class Task(NamedTuple):
    """A task's share of the queries and the length of its answers in tokens."""

    share: float
    answer_tokens: int


class Model(NamedTuple):
    """What the generator knows of a model.

    Attributes:
      prices: list price of input and of output, dollars per million tokens.
      verbosity: its answer length as a multiple of the task's.
      means: mean quality on each task, in the order of `TASKS`.
      skill: log-odds per unit of each topic coordinate (nature, mind, wide, modern).
    """

    prices: tuple[float, float]
    verbosity: float
    means: tuple[float, ...]
    skill: tuple[float, ...]


TASKS = {
    "mmlu": Task(0.34, 90),
    "hellaswag": Task(0.22, 80),
    "gsm8k": Task(0.18, 170),
    "arc-challenge": Task(0.08, 90),
    "winogrande": Task(0.08, 50),
    "mbpp": Task(0.06, 170),
    "mt-bench": Task(0.04, 350),
}
MODELS = {
    "gpt-3.5-turbo-1106": Model(
        (1.0, 2.0), 0.8, (0.72, 0.82, 0.60, 0.86, 0.63, 0.65, 0.91), (-0.3, 0.2, 0.3, 0.6)
    ),
    "claude-instant-v1": Model(
        (0.8, 2.4), 0.9, (0.38, 0.80, 0.63, 0.82, 0.51, 0.55, 0.86), (-0.2, -0.5, 0.5, -0.4)
    ),
    "claude-v1": Model(
        (8.0, 24.0), 0.9, (0.48, 0.84, 0.65, 0.89, 0.57, 0.53, 0.94), (-0.8, 0.5, 0.1, -0.5)
    ),
    "claude-v2": Model(
        (8.0, 24.0), 1.1, (0.62, 0.42, 0.66, 0.55, 0.45, 0.61, 0.85), (0.5, 0.9, -0.3, -0.3)
    ),
    "gpt-4-1106-preview": Model(
        (10.0, 30.0), 1.3, (0.83, 0.92, 0.65, 0.92, 0.86, 0.68, 0.97), (0.1, 0.3, 0.1, 0.2)
    ),
    "meta/llama-2-70b-chat": Model(
        (0.9, 0.9), 1.4, (0.65, 0.74, 0.53, 0.79, 0.50, 0.30, 0.85), (-0.6, -0.3, -0.5, 0.2)
    ),
    "mistralai/mixtral-8x7b-chat": Model(
        (0.6, 0.6), 1.1, (0.73, 0.71, 0.52, 0.84, 0.68, 0.57, 0.92), (0.5, 0.4, 0.5, -0.3)
    ),
    "zero-one-ai/Yi-34B-Chat": Model(
        (0.8, 0.8), 1.2, (0.74, 0.93, 0.55, 0.88, 0.75, 0.33, 0.94), (0.6, -0.2, -0.6, 0.5)
    ),
    "WizardLM/WizardLM-13B-V1.2": Model(
        (0.3, 0.3), 1.3, (0.57, 0.64, 0.51, 0.66, 0.51, 0.36, 0.80), (-0.4, 0.7, -0.6, 0.1)
    ),
    "meta/code-llama-instruct-34b-chat": Model(
        (0.8, 0.8), 1.1, (0.57, 0.53, 0.46, 0.64, 0.62, 0.47, 0.80), (0.3, 0.3, 0.4, 1.0)
    ),
    "mistralai/mistral-7b-chat": Model(
        (0.2, 0.2), 1.0, (0.56, 0.54, 0.41, 0.64, 0.56, 0.35, 0.78), (0.2, -0.8, 0.4, -0.2)
    ),
}
TASK_MEANS = np.array([model.means for model in MODELS.values()]).T  # [tasks, m]
SKILLS = np.array([model.skill for model in MODELS.values()])  # [m, topics]
PRICES = np.array([model.prices for model in MODELS.values()]) / 1e6  # [m, 2] dollars a token
VERBOSITY = np.array([model.verbosity for model in MODELS.values()])  # [m]

TOPICS = SKILLS.shape[1]
FEATURES = len(TASKS) + 1 + 2 * TOPICS  # latent features that an embedding holds
SLOPE = 1.0  # log-odds that one unit of difficulty costs every model
STRETCH = 0.25  # of the log answer length per unit of difficulty
COST_SPREAD = 0.35  # standard deviation of the log of a realised cost
CHARACTERS_PER_TOKEN = 4
GRADED_TASK = "mt-bench"
GRADED_STEPS = 10


@dataclass(frozen=True, eq=False)
class EmbeddedTable:
    """A synthetic table with the truth behind it; all numbers are synthetic.

    Attributes:
      table: realised quality and cost of every cell, embeddings, prompts and tasks.
      true_quality: [n, m] mean quality, in [0, 1].
      true_cost: [n, m] mean cost, dollars per query.
      difficulty: [n] latent difficulty, standard normal: a confounder no log records.
    """

    table: Table
    true_quality: np.ndarray
    true_cost: np.ndarray
    difficulty: np.ndarray

    def __len__(self) -> int:
        return len(self.table)

    @property
    def true_estimates(self) -> Estimates:
        """The mean quality and cost of every cell as `Estimates`."""
        return Estimates(quality=self.true_quality, cost=self.true_cost)

    def rows(self, index: Any) -> EmbeddedTable:
        """The table and its truth restricted to `index`: positions, a slice or a boolean mask."""
        return EmbeddedTable(
            table=self.table.rows(index),
            true_quality=self.true_quality[index],
            true_cost=self.true_cost[index],
            difficulty=self.difficulty[index],
        )


def embedded_table(
    seed: int = 0, *, queries: int = 12_000, dimensions: int = 256, noise: float = 0.5
) -> EmbeddedTable:
    """Draw a synthetic table in the likeness of RouterBench, with its truth.

    Every number is synthetic, and the model names stand for their likeness. Quality is 0 or 1,
    drawn with the probability in the module's docstring; on mt-bench it is a binomial count out
    of ten, divided by ten. Realised cost is the mean cost times lognormal noise of mean 1.
    Prompts are English text that tells of topic and difficulty (see `synthetic_prompts`).

    Embeddings are (f·A + noise·ε)/s: latent features f [n, 16] (task, difficulty, topics and
    products of the two), a random A of the seed whose rows have length near 1, standard normal
    ε, and s such that the mean square length is 1. Where d is many times 16, a latent of unit
    variance can be read from them linearly with R² near 1/(1 + noise²), whatever d.

    Args:
      seed: same seed and sizes, same table; 0 or more.
      queries: n, at least 1.
      dimensions: d, at least `FEATURES` (16).
      noise: how much the embeddings hide of the latent state; 0 hides nothing.

    Returns:
      The table (float32) and its true means (float64).

    Raises:
      InputError: queries below 1, dimensions below 16, noise or seed below 0.
    """
    _check(seed, queries, dimensions, noise)
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)]
    latent, text, projection, outcome = streams

    task = latent.choice(len(TASKS), size=queries, p=[kind.share for kind in TASKS.values()])
    difficulty = latent.standard_normal(queries)
    topics = latent.standard_normal((queries, TOPICS))
    tasks = tuple(np.array(list(TASKS))[task].tolist())
    prompts = write_prompts(text, tasks, topics, difficulty)

    true_quality = _mean_quality(task, difficulty, topics)
    true_cost = _mean_cost(task, difficulty, prompts)
    table = Table.from_arrays(
        _realised_quality(outcome, true_quality, np.array(tasks) == GRADED_TASK),
        _realised_cost(outcome, true_cost),
        models=tuple(MODELS),
        embeddings=_embed(projection, _features(task, difficulty, topics), dimensions, noise),
        prompts=prompts,
        task=tasks,
        source=f"embedded synthetic table (seed {seed})",
    )
    return EmbeddedTable(table, true_quality, true_cost, difficulty)


def _check(seed: int, queries: int, dimensions: int, noise: float) -> None:
    if seed < 0:
        raise InputError(f"the seed is {seed}; it must be 0 or more", source="embedded_table")
    if queries < 1:
        raise InputError(f"queries is {queries}; at least 1 is needed", source="embedded_table")
    if dimensions < FEATURES:
        raise InputError(
            f"dimensions is {dimensions}; the latent state needs at least {FEATURES}",
            source="embedded_table",
        )
    if not noise >= 0:
        raise InputError(f"noise is {noise}; it must be 0 or more", source="embedded_table")


def _mean_quality(task: np.ndarray, difficulty: np.ndarray, topics: np.ndarray) -> np.ndarray:
    """[n, m] probability of a right answer."""
    logits = topics @ SKILLS.T - SLOPE * difficulty[:, None]
    return _sigmoid(_intercepts()[task] + logits)


def _intercepts() -> np.ndarray:
    """[tasks, m] a with E sigmoid(a + s·ε) = `TASK_MEANS`, ε standard normal, by bisection."""
    spread = np.sqrt(SLOPE**2 + (SKILLS**2).sum(axis=1))[:, None]
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    weights = weights / weights.sum()
    low, high = np.full(TASK_MEANS.shape, -20.0), np.full(TASK_MEANS.shape, 20.0)
    for _ in range(50):
        middle = (low + high) / 2
        above = _sigmoid(middle[..., None] + spread * nodes) @ weights > TASK_MEANS
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def _mean_cost(task: np.ndarray, difficulty: np.ndarray, prompts: tuple[str, ...]) -> np.ndarray:
    """[n, m] mean cost in dollars."""
    prompt_tokens = np.ceil([len(prompt) / CHARACTERS_PER_TOKEN for prompt in prompts])
    length = np.array([kind.answer_tokens for kind in TASKS.values()])[task]
    answer_tokens = (length * np.exp(STRETCH * difficulty))[:, None] * VERBOSITY
    return PRICES[:, 0] * prompt_tokens[:, None] + PRICES[:, 1] * answer_tokens


def _realised_quality(rng: np.random.Generator, mean: np.ndarray, graded: np.ndarray) -> np.ndarray:
    """[n, m] Bernoulli(mean), or Binomial(10, mean)/10 in the graded rows [n]."""
    trials = np.where(graded, GRADED_STEPS, 1)[:, None]
    return rng.binomial(trials, mean) / trials


def _realised_cost(rng: np.random.Generator, mean: np.ndarray) -> np.ndarray:
    """[n, m] mean times exp(σε − σ²/2), whose expectation is 1."""
    noise = COST_SPREAD * rng.standard_normal(mean.shape)
    return mean * np.exp(noise - COST_SPREAD**2 / 2)


def _features(task: np.ndarray, difficulty: np.ndarray, topics: np.ndarray) -> np.ndarray:
    """[n, FEATURES] what an embedding holds, each of variance near 1."""
    one_hot = 2.0 * np.eye(len(TASKS))[task]
    nonlinear = difficulty[:, None] * topics
    return np.concatenate([one_hot, difficulty[:, None], topics, nonlinear], axis=1)


def _embed(
    rng: np.random.Generator, features: np.ndarray, dimensions: int, noise: float
) -> np.ndarray:
    """[n, d] float32 noisy random projection of the features."""
    projection = rng.standard_normal((FEATURES, dimensions)) / np.sqrt(dimensions)
    blur = noise * rng.standard_normal((len(features), dimensions), dtype=np.float32)
    mean_square_length = 4.0 + (FEATURES - len(TASKS)) + dimensions * noise**2
    signal = (features @ projection).astype(np.float32)
    return (signal + blur) / np.float32(np.sqrt(mean_square_length))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-logits))
