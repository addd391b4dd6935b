"""The entry of the command line, by `routerjax` and by `python -m routerjax`."""

from routerjax.support.imports import quick_imports
from routerjax.support.threads import half_the_cores_for_xla, one_blas_thread


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    one_blas_thread()
    half_the_cores_for_xla()
    with quick_imports():
        from routerjax.cli import commands  # NumPy is imported below it

    return commands.main()


if __name__ == "__main__":
    raise SystemExit(main())
