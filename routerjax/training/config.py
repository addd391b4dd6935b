"""Every setting of a fit, written once: what the command line, the library and the studies read.

Nothing here imports JAX, so that a command line can be built from these records before anything
heavy is loaded. Each record is frozen and hashable; what a setting does is said where it stands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from routerjax.estimators.defaults import SUPPORT


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long and in what steps a network is trained; static under jit.

    Attributes:
      batch_size: Rows per step.
      max_epochs: The training ends after this many epochs at the latest.
      patience: A run stops after this many epochs without a better held-out score.
      chunk: Epochs per compiled call. Progress and interruption happen between chunks.
      caution: If above 0, half of the held-out rows choose the epoch, and the other half is asked
        once, at the end: its epoch replaces the starting point only if their mean score is higher
        by more than this many standard errors of the paired difference. Where scores are noisy,
        the best of many epochs is partly luck, and the start deserves the doubt.
      optimizer: The optimiser, "adamw" or "sgd".
      epoch_rows: An epoch visits at most this many training rows, others each time, and is scored
        on at most this many held-out rows, always the same. A million rows are not needed before
        the held-out score is worth a look. The rows of an epoch are stretches of neighbouring
        rows, so that they can be read from a file without reading all of it.
    """

    batch_size: int = 256
    max_epochs: int = 100
    patience: int = 10
    chunk: int = 10
    caution: float = 0.0
    optimizer: str = "adamw"
    epoch_rows: int = 1 << 16


@dataclasses.dataclass(frozen=True)
class NuisanceConfig:
    """How outcome models are fitted, and the folds of outcome and propensity models.

    Attributes:
      outcomes: The kind of outcome model: "pooled", a two-level regression in closed form, which
        shrinks what the models differ by towards what they share; or "network", heads that are
        trained by gradients, to which alone widths, rates and schedule apply.
      components: Principal components of the embeddings that a pooled model is linear in.
      landmarks: Landmarks of its smooth part.
      tasks: Tasks of the log that a pooled model learns to tell apart by the embedding, at most;
        0 leaves the log's tasks out of it.
      folds: Number K of cross-fitting folds.
      held_out: Share of a fold's training rows on which its models stop early.
      widths: Hidden widths of the quality and cost heads. An empty tuple is a linear model.
      learning_rate: AdamW's step size.
      weight_decay: AdamW's decoupled weight decay.
      schedule: Batch size, epochs, patience. With max_epochs = 0 the outcome models stay at the
        arm means, which are wrong wherever the log's policy looked at the query: that is the
        deliberately misspecified model of the stress tests.
    """

    outcomes: str = "pooled"
    components: int = 32
    landmarks: int = 64
    tasks: int = 32
    folds: int = 5
    held_out: float = 0.15
    widths: tuple[int, ...] = (128,)
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    schedule: Schedule = Schedule(batch_size=256, max_epochs=60, patience=5, chunk=5)


@dataclasses.dataclass(frozen=True)
class RouterConfig:
    """How a router is trained.

    Attributes:
      members: Number of networks whose probabilities are averaged. Each has other rows held out
        to choose its epoch, so that one noisy choice of an epoch weighs less.
      surrogate: The loss: a name of `routerjax.losses.SURROGATES` or "file.py:function", either
        with settings as in "spo_plus?scale=5,10", or a function.
      architecture: A name of `routerjax.models.ARCHITECTURES`.
      separate_trunks: Whether each endpoint router is a network of its own. This goes with the
        architectures "interval" and "interpolated".
      widths: Hidden widths of the trunk.
      learning_rate: AdamW's step size. If several are given, each run keeps the one with the
        highest held-out score.
      weight_decay: AdamW's decoupled weight decay.
      schedule: Batch size, epochs, patience, caution.
      joint_caution: The caution of the joint router (see `Schedule`). Its start already carries
        the endpoint routers over exactly, where utilities are concerned.
      start: What a router starts from: "plug-in", the policy that is greedy on the outcome model's
        predictions; "best-single", the one arm of highest mean utility by the selection
        estimates; or "random", networks whose every layer is drawn, which know nothing yet.
      start_sharpness: Logits per unit of scaled utility with which a router starts; 0 starts
        undecided. It has no say in a random start.
    """

    members: int = 5
    surrogate: str | Callable[..., Any] = "softmax_regret"
    architecture: str = "plug-in"
    separate_trunks: bool = False
    widths: tuple[int, ...] = (128,)
    learning_rate: float | tuple[float, ...] = 1e-3
    weight_decay: float = 0.1
    schedule: Schedule = Schedule(batch_size=256, max_epochs=100, patience=10, chunk=5, caution=1.0)
    joint_caution: float = 2.0
    start: str = "plug-in"
    start_sharpness: float = 10.0


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """How a router is fitted to a log.

    Attributes:
      cost_weights: The cost weights λ, in quality per dollar, at which the router is trained.
        They are chosen from the log's costs if none are given.
      encoder: The text encoder of the prompts, where the log has no embeddings: "wordllama",
        "minilm", the name or folder of a sentence-transformers model, or an embeddings endpoint
        as openai:MODEL@http://host/v1. With "+length" behind the name the length of a prompt is
        known as well, which tells of costs.
      components: Principal components of the embeddings, fitted to the rows that are learnt from;
        all else is learnt from them alone, and the router keeps them. 0 takes the embeddings as
        they are. If none are given the embeddings are taken, and with --gains 50, or the features
        of a file that holds components already.
      estimator: The counterfactual estimates the router is trained on: a name of
        `routerjax.estimators.ESTIMATORS`, "file.py:function", or an `Estimator`.
      floor: Propensities below this are taken as this; 0 clips none. If it is not given, recorded
        ones are taken as they are, and estimated ones are at least 0.01 or, of more than ten
        models, a tenth of an even share.
      support: The router chooses a model only where the log's policy would have asked it of such
        queries with at least this share of an even share, 1/m; 0 switches this off.
      trust_propensities: Recorded propensities that cannot be right are taken as they are.
      evaluation: Share of the groups of rows that nothing is fitted on; the report says what the
        router is worth on them. 0 keeps none, and then the report cannot say it. If it is not
        given, a plug-in router of pooled outcome models keeps none all the same: every row is
        evaluated by models that did not see it (cross-fitting). Others keep a fifth, and so does a
        fit with gold scores.
      validation: Share of the rows that chooses a network's epoch, where the log names no
        validation split.
      seed: Seed of folds, splits, starting values and shuffling.
      router: How the router is trained.
      nuisance: How outcome and propensity models are fitted.
    """

    cost_weights: tuple[float, ...] | None = None
    encoder: str = "wordllama+length"
    components: int | None = None
    estimator: str | Callable[..., Any] = "dr"
    floor: float | None = None
    support: float = SUPPORT
    trust_propensities: bool = False
    evaluation: float | None = None
    validation: float = 0.2
    seed: int = 0
    router: RouterConfig = RouterConfig()
    nuisance: NuisanceConfig = NuisanceConfig()

    @property
    def is_trained(self) -> bool:
        """Whether any network is trained; plug-in routers of pooled outcome models have none."""
        return (self.router.architecture, self.nuisance.outcomes) != ("plug-in", "pooled")


@dataclasses.dataclass(frozen=True)
class GainConfig:
    """How a router of a pair of models is fitted to labelled gains.

    Attributes:
      models: The alternative and the primary model.
      costs: Their costs, US dollars per query.
      components: Principal components of the features; 0 takes the features as they are. If none
        are given there are 50, or the features of a file that holds components already.
      learner: How the bias of the preference labels is learnt: a name of
        `routerjax.pipelines.LEARNERS`.
      nuisance: The regression behind the bias: a name of `routerjax.pipelines.REGRESSIONS`.
      cost_weights: The cost weights of the decision curve. They are chosen from the predictions
        if none are given.
      label_scale: How preference labels are brought to the scale of gold ones, by a factor found
        on the labels that are learnt from: variance, amplitude, wasserstein or none.
      held_out: Share of the queries with a gold label that the router of the decision curve never
        sees.
      seed: Seed of the held-out queries, folds and regressions.
    """

    models: tuple[str, str] = ("alternative", "primary")
    costs: tuple[float, float] | None = None
    components: int | None = None
    learner: str = "dr"
    nuisance: str = "ridge"
    cost_weights: tuple[float, ...] | None = None
    label_scale: str = "variance"
    held_out: float = 0.2
    seed: int = 0
