"""The entry of the command line, by `routerjax` and by `python -m routerjax`."""

import os

from routerjax.support.imports import quick_imports

CHOSEN = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables by which a user says how many threads linear algebra has."""


def one_blas_thread() -> None:
    """Let OpenBLAS do its products in one thread, unless the user has chosen a number.

    It must be called before NumPy is imported. The products and factorisations of a fit are small
    and many: OpenBLAS's threads spend them waiting for each other at full speed, which takes no
    less time and up to four times the CPU where the machine has other work. Its own variable
    alone is set: an encoder that runs in torch, the forests of scikit-learn and XLA have threads
    of their own, which pay, and which read the other variables or none.
    """
    if not any(name in os.environ for name in CHOSEN):
        os.environ["OPENBLAS_NUM_THREADS"] = "1"


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    one_blas_thread()
    with quick_imports():
        from routerjax.cli import commands  # NumPy is imported below it

    return commands.main()


if __name__ == "__main__":
    raise SystemExit(main())
