"""Several processes, each with its devices and its share of the rows, train as one.

Every process calls `initialize` before anything else and then does the same: the same rows,
runs, starting parameters and key. `fit` with `Devices(parallel="rows")` gives each its share of
the rows, every P-th, and rows that are `Stored` are read by the process that trains on them.
"""

from __future__ import annotations

import zlib

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree, UInt32

from routerjax.errors import InputError
from routerjax.records.on_disk import blocks
from routerjax.training.run import Data, Job, Params


def initialize(
    coordinator: str | None = None, processes: int | None = None, process_id: int | None = None
) -> None:
    """Join the processes of a training; before anything else asks JAX for a device.

    Args:
      coordinator: "host:port" of process 0; where all three are None, the cluster's environment
        (Slurm, Open MPI, Kubernetes, Cloud TPU) says.
      processes: how many there are.
      process_id: which of them this is, from 0.

    Raises:
      InputError: some of the three are missing, there is no cluster to ask, or JAX is in use.
    """
    given = (coordinator, processes, process_id)
    if None in given and given != (None, None, None):
        raise InputError("coordinator, processes and process id go together; give all or none")
    if processes is not None and process_id is not None and not 0 <= process_id < processes:
        raise InputError(f"process id is {process_id}; it must lie in 0 to {processes - 1}")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")  # other backends ignore it
    try:
        jax.distributed.initialize(coordinator, processes, process_id)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"the processes cannot be joined ({error})") from error


def own_rows(count: int) -> Int[np.ndarray, " own"]:
    """Positions, among `count` rows, of those this process reads: every P-th."""
    return np.arange(jax.process_index(), count, jax.process_count())


def own_share(
    params: Params, keys: UInt32[Array, "r k"], jobs: Job, rows: Data
) -> tuple[Job, Data]:
    """Jobs and rows of this process, filled up to the largest share of any process.

    Raises:
      InputError: the processes do not train the same runs from the same start.
    """
    if jax.process_count() == 1:
        return jobs, rows
    same = checksum((params, keys, jobs[:5]))
    if len(set(of_all(same))) > 1:
        problem = "processes differ in runs, rows, starting parameters, learning rates or key"
        raise InputError(problem)
    count = len(jax.tree.leaves(rows)[0])
    own = np.resize(own_rows(count), -(-count // jax.process_count()))
    jobs = jobs._replace(train=_own_positions(jobs.train), held_out=_own_positions(jobs.held_out))
    return jobs, jax.tree.map(lambda leaf: leaf[own], rows)


def _own_positions(index: Int[Array, "r k"]) -> Int[Array, "r own"]:
    """Positions [r, k] among all rows as positions among this process's, in the same order.

    Runs have fewer of them than k: −1 fills up, in all processes to the same width.
    """
    positions, processes = np.asarray(index), jax.process_count()
    holder = np.where(positions < 0, -1, positions % processes)
    width = max(int((holder == process).sum(axis=1).max()) for process in range(processes))
    mine = holder == jax.process_index()
    order = np.argsort(~mine, axis=1, kind="stable")[:, :width]
    return jnp.asarray(np.take_along_axis(np.where(mine, positions // processes, -1), order, 1))


def of_all(number: int) -> list[int]:
    """A number below 2³¹ of every process, in their order."""
    if jax.process_count() == 1:
        return [number]
    from jax.experimental import multihost_utils

    return [int(each) for each in multihost_utils.process_allgather(np.int32(number))]


def checksum(tree: PyTree) -> int:
    """31 bits of the CRC of the arrays of a pytree."""
    crc = 0
    for leaf in jax.tree.leaves(tree):
        for block in blocks(leaf) if np.ndim(leaf) else [leaf]:
            crc = zlib.crc32(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data, crc)
    return crc >> 1
