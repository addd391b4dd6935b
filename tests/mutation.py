"""Which changes to the mathematics would the tests not notice? For contributors, not for CI.

    pip install "cosmic-ray>=8.4,<9"
    python tests/mutation.py                          a sample of every module's mutants
    python tests/mutation.py estimators/ridge --most 1000      all of one module's
    python tests/mutation.py --list losses/surrogates          what they are, untested

A mutant is a module of the package with one place changed: by the operators of Cosmic Ray in
`OPERATORS`, or by those of `calls`, which aim at clips, floors and choices. It is killed where
one of the module's test files, `TESTS`, fails; what lives is printed as a line of code before
and after. A module that `TESTS` leaves out is not mutated.

Nothing on disk is changed: this process imports the libraries without starting JAX, and every
mutant is run in a fork of it that imports the changed source in place of the module. Compiled
programs are kept between mutants, since nearly all of them are the same; the first run of a
module fills that cache, and must pass.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import re
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

TESTS = {
    "losses/surrogates": ("surrogates", "surrogate_bounds"),
    "losses/by_name": ("surrogates",),
    "estimators/bias": ("bias",),
    "estimators/calibration": ("support",),
    "estimators/components": ("ridge",),
    "estimators/counterfactual": ("counterfactual", "estimators"),
    "estimators/cross_fit": ("label_sources",),
    "estimators/envelope": ("envelope",),
    "estimators/folds": ("folds",),
    "estimators/integrative": ("integrative",),
    "estimators/mixture": ("mixture",),
    "estimators/overlap": ("counterfactual",),
    "estimators/ridge": ("leave_one_out", "ridge"),
    "estimators/support": ("support",),
    "estimators/boosting": ("support",),
    "estimators/trees": ("support",),
    "estimators/utility": ("utility",),
    "evaluation/curves": ("curves",),
    "evaluation/intervals": ("evaluation",),
    "evaluation/metrics": ("evaluation",),
    "evaluation/off_policy": ("ope",),
    "evaluation/ope": ("ope",),
    "models/joint": ("architectures",),
    "models/stages": ("objectives", "architectures"),
    "support/own_code": ("surrogates", "estimators"),
    "training/batches": ("training",),
    "training/objectives": ("objectives",),
    "training/run": ("training",),
}
"""The test files that are to notice a change in a module; the fewest and the fastest."""

BINARY = "Add_Sub Sub_Add Mul_Div Div_Mul Pow_Mul FloorDiv_Mul Mod_Add BitAnd_BitOr BitOr_BitAnd"
COMPARISONS = "Gt_GtE GtE_Gt Lt_LtE LtE_Lt Gt_Lt Lt_Gt GtE_LtE LtE_GtE Eq_NotEq NotEq_Eq Is_IsNot"
OTHERS = (
    "NumberReplacer AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr "
    "ReplaceOrWithAnd ReplaceBreakWithContinue ReplaceContinueWithBreak ReplaceUnaryOperator_"
    "Delete_USub ReplaceUnaryOperator_Delete_Invert ReplaceUnaryOperator_Delete_Not"
)
OPERATORS = [
    *(f"core/ReplaceBinaryOperator_{pair}" for pair in BINARY.split()),
    *(f"core/ReplaceComparisonOperator_{pair}" for pair in COMPARISONS.split()),
    *(f"core/{name}" for name in OTHERS.split()),
]
"""Those whose mutants run: of the replacements of an operator, the nearest one or two."""

BOUNDS = ("clip", "maximum", "minimum", "relu")
OPPOSITES = {"max": "min", "maximum": "minimum", "argmax": "argmin", "any": "all"}
OPPOSITES |= {opposite: name for name, opposite in OPPOSITES.items()}


class Mutant(NamedTuple):
    """A changed source, where it was changed and by what."""

    line: int
    operator: str
    source: str


def mutants(source: str) -> list[Mutant]:
    """All mutants of a module that compile and differ, types and signatures left alone."""
    found: dict[str, Mutant] = {}
    for mutant in (*by_cosmic_ray(source), *calls(source)):
        try:
            same = ast.dump(ast.parse(mutant.source)) == ast.dump(ast.parse(source))
        except SyntaxError:
            continue
        if not same:
            found.setdefault(mutant.source, mutant)
    return sorted(found.values())


def by_cosmic_ray(source: str) -> Iterator[Mutant]:
    """The mutants of `OPERATORS`."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    spans = [(part.lineno, part.col_offset, part.end_col_offset) for part in annotations(source)]
    for name in OPERATORS:
        operator = get_operator(name)()
        positions = (operator.mutation_positions(node) for node in ast_nodes(get_ast(source)))
        for occurrence, ((line, column), _) in enumerate(p for each in positions for p in each):
            if any(line == at and low <= column < high for at, low, high in spans):
                continue
            mutated = mutate_code(source, operator, occurrence)
            if mutated is not None and not re.search(
                r"[(,\n]\s*/,", mutated
            ):  # `*,` of a signature
                yield Mutant(line, name.removeprefix("core/"), mutated)


def annotations(source: str) -> Iterator[ast.expr]:
    """The types in a source, which nothing evaluates."""
    for node in ast.walk(ast.parse(source)):
        for field in ("annotation", "returns"):
            if getattr(node, field, None) is not None:
                yield getattr(node, field)


def calls(source: str) -> Iterator[Mutant]:
    """Bounds taken away, extremes turned round, branches exchanged, defaults left in place."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function, arguments = node.func, node.args
        name = getattr(function, "attr", getattr(function, "id", ""))
        bounds_two = name in ("max", "min") and len(arguments) == 2 and not node.keywords
        if arguments and (name in BOUNDS or bounds_two):
            kept = next(each for each in arguments if not isinstance(each, ast.Constant))
            yield _replaced(source, node, f"({ast.unparse(kept)})", "bound taken away")
        if name in OPPOSITES and function.end_col_offset is not None:
            whole = ast.unparse(function)
            turned = whole[: len(whole) - len(name)] + OPPOSITES[name]
            yield _replaced(source, function, turned, "extreme turned round")
        if name == "where" and len(arguments) == 3:
            condition, one, other = map(ast.unparse, arguments)
            turned = f"{ast.unparse(function)}({condition}, {other}, {one})"
            yield _replaced(source, node, turned, "branches exchanged")
        for keyword in node.keywords:
            if keyword.arg == "where" or ast.unparse(keyword.value) == keyword.arg:
                others = [each for each in node.keywords if each is not keyword]
                shorter = ast.unparse(ast.Call(function, arguments, others))
                yield _replaced(source, node, shorter, f"without {keyword.arg}")


def _replaced(source: str, node: ast.expr, text: str, operator: str) -> Mutant:
    lines = source.encode().splitlines(keepends=True)  # offsets are of bytes
    starts = [sum(map(len, lines[:i])) for i in range(len(lines))]
    first = starts[node.lineno - 1] + node.col_offset
    last = starts[node.end_lineno - 1] + node.end_col_offset
    whole = source.encode()
    return Mutant(node.lineno, operator, (whole[:first] + text.encode() + whole[last:]).decode())


class Changed(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Imports one module from a source that is not on disk."""

    def __init__(self, module: str, source: str):
        super().__init__(f"routerjax.{module.replace('/', '.')}", _path(module))
        self.source = source

    def find_spec(self, fullname, path, target=None):
        if fullname == self.name:
            return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, fullname):
        return compile(self.source, self.path, "exec", dont_inherit=True)


def _path(module: str) -> str:
    return str(ROOT / "routerjax" / f"{module}.py")


def passes(module: str, source: str, *, seconds: int, log: Path) -> bool:
    """Whether the module's tests pass with this source of it, in so many seconds of computing."""
    child = os.fork()
    if not child:
        _run_tests(module, source, seconds, log)
    os.waitpid(child, 0)
    return log.read_text().endswith("passed\n")


def _run_tests(module: str, source: str, seconds: int, log: Path) -> None:
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    signal.alarm(20 * seconds)  # for one that waits
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.chdir(ROOT)
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    sys.meta_path.insert(0, Changed(module, source))
    files = [f"tests/test_{name}.py" for name in TESTS[module]]
    failed = 1
    try:
        failed = pytest.main(
            ["-x", "-n0", "--tb=line", "-p", "no:cacheprovider", "--noconftest", *files]
        )
    finally:
        sys.stdout.flush()
        os.write(1, b"failed\n" if failed else b"passed\n")
        os._exit(0)


def examine(module: str, *, most: int, seed: int, seconds: int) -> tuple[int, int]:
    """Try at most so many mutants of a module and print those that live: (killed, tried)."""
    source = Path(_path(module)).read_text()
    every = mutants(source)
    chosen = sorted(random.Random(f"{seed} {module}").sample(every, min(most, len(every))))
    log = Path(tempfile.gettempdir()) / f"mutation-{os.getpid()}.log"
    for _ in range(2):  # the first fills the cache
        if not passes(module, source, seconds=600, log=log):
            sys.exit(f"{module}: its tests fail as it is\n{log.read_text()}")
    lines, living = source.splitlines(), 0
    for mutant in chosen:
        if not passes(module, mutant.source, seconds=seconds, log=log):
            continue
        living += 1
        before = [line for line in lines if line not in mutant.source.splitlines()]
        after = [line for line in mutant.source.splitlines() if line not in lines]
        print(f"  {module}.py:{mutant.line} {mutant.operator}")
        print(*(f"    - {line.strip()}" for line in before), sep="\n")
        print(*(f"    + {line.strip()}" for line in after), sep="\n", flush=True)
    log.unlink()
    tried = len(chosen)
    print(f"{module}: {tried - living} of {tried} killed, of {len(every)} mutants", flush=True)
    return tried - living, tried


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(TESTS)}; all by default")
    parser.add_argument("--most", type=int, default=40, help="mutants a module (40)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument(
        "--seconds", type=int, default=60, help="of computing that a mutant may take (60)"
    )
    parser.add_argument("--list", action="store_true", help="print the mutants, test nothing")
    options = parser.parse_args()
    modules = options.modules or list(TESTS)
    if options.list:
        for module in modules:
            for mutant in mutants(Path(_path(module)).read_text()):
                print(f"{module}.py:{mutant.line} {mutant.operator}")
        return
    cache = Path(tempfile.gettempdir()) / "routerjax-mutation-cache"
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    # what conftest.py sets; its router, which takes seconds to import, none of the tests use
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
    import flax.linen  # noqa: F401
    import jax.test_util  # noqa: F401
    import optax  # noqa: F401
    import pytest  # noqa: F401

    sizes = {"most": options.most, "seed": options.seed, "seconds": options.seconds}
    counts = [examine(module, **sizes) for module in modules]
    killed, tried = map(sum, zip(*counts, strict=True))
    print(f"{killed} of {tried} killed, {killed / tried:.0%}")


if __name__ == "__main__":
    main()
