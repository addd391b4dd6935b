"""How many threads the libraries below start, where nobody has chosen: fewer than they would."""

from __future__ import annotations

import os

from routerjax.support.cores import usable_cores

BLAS = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables by which a user says how many threads linear algebra has."""
XLA = "NPROC"
"""That from which XLA takes the number of its threads on a CPU, when JAX is first used."""


def one_blas_thread() -> None:
    """Let OpenBLAS do its products in one thread, unless the user has chosen a number.

    It must be called before NumPy is imported. The products and factorisations of a fit are small
    and many: OpenBLAS's threads spend them waiting for each other at full speed, which takes no
    less time and up to four times the CPU where the machine has other work. Its own variable
    alone is set: an encoder that runs in torch and the forests of scikit-learn have threads of
    their own, which pay, and which read the other variables or none.
    """
    if not any(name in os.environ for name in BLAS):
        os.environ["OPENBLAS_NUM_THREADS"] = "1"


def half_the_cores_for_xla() -> None:
    """Let XLA have a thread for every two cores, unless the user has chosen a number.

    It must be called before JAX is used. Two of a machine's cores are mostly two halves of one,
    and the programs of a fit or a study are small: with two threads on two such cores a study took
    more of the processor's time, and no less of a person's.
    """
    os.environ.setdefault(XLA, str(max(1, usable_cores() // 2)))
