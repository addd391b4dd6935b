"""The house: what an import costs, who may import whom, names that explain themselves."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import routerjax

PACKAGE = Path(routerjax.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = (
    "flax",
    "optax",
    "orbax",
    "datasets",
    "matplotlib",
    "rich",
    "pyarrow",
    "wordllama",
    "torch",
    "starlette",
    "uvicorn",
    "httpx",
    "litellm",
)
FLOORS = (
    ("errors",),
    ("records", "support"),
    ("data", "estimators", "losses"),
    ("evaluation",),
    ("baselines", "models"),
    ("training",),
    ("artefacts",),
    ("pipelines",),
    ("exploration",),
    ("serving",),
    ("integrations",),
    ("reports",),
    ("cli",),
)
"""The folders of the package from the ground up: a module imports from below, or from its own."""

MATHEMATICS = ("losses", "estimators", "evaluation", "records", "support", "errors")


def module(path: Path) -> str:
    """Name below routerjax: "data.files"; a package's own file goes by the package's name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, at_once: bool = False) -> Iterator[str]:
    """Full names of the modules a file imports, but for type checkers.

    `at_once`: only what is imported with the file, not what a function imports when it runs.
    """

    def walk(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if at_once and isinstance(node, ast.FunctionDef):
            return
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for name in node.names:
                inner = PACKAGE.parent / (node.module or "").replace(".", "/") / name.name
                is_module = inner.with_suffix(".py").exists() or (inner / "__init__.py").exists()
                yield f"{node.module}.{name.name}" if is_module else node.module or ""
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    return walk(ast.parse(path.read_text(encoding="utf-8")))


def own(path: Path, *, at_once: bool = False) -> set[str]:
    """routerjax's modules that a file imports."""
    names = {name for name in imports(path, at_once=at_once) if name.startswith("routerjax.")}
    return {name.removeprefix("routerjax.") for name in names}


FILE_OF = {module(path): path for path in FILES if module(path)}
GRAPH = {name: own(path) for name, path in FILE_OF.items()}


def test_import_pulls_in_nothing_heavy(clean_environment, tmp_path):
    script = f"""
import sys, routerjax
assert "jax" not in sys.modules
dir(routerjax), routerjax.__version__
print(*[name for name in {HEAVY!r} if name in sys.modules])
import routerjax.errors, routerjax.records, routerjax.losses, routerjax.estimators
import routerjax.evaluation, routerjax.evaluation.ope, routerjax.cli.commands
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=clean_environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("\n\n", "")


PUBLIC = [(name, getattr(routerjax, name)) for name in routerjax.__all__]
SUBPACKAGES = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.pyi"))


@pytest.mark.parametrize("name, value", PUBLIC, ids=routerjax.__all__)
def test_every_public_name_resolves_and_explains_itself(name, value):
    if name.isupper():  # a registry or another constant
        assert isinstance(value, Mapping | tuple) and value
        return
    if inspect.ismodule(value):
        assert value.__name__.startswith("routerjax.") and value.__doc__
        return
    assert value.__name__ == name and value.__module__.startswith("routerjax.")
    text = inspect.getdoc(value)
    assert text and re.match(r"[A-Z`].*[.:]", text.splitlines()[0] + " "), text
    assert not text.startswith(f"{name}("), "the signature alone, as a dataclass writes it"
    if inspect.isfunction(value):
        for argument in inspect.signature(value).parameters.values():
            assert re.search(rf"\b{argument.name}\b", text), f"{name}: {argument.name} goes unsaid"
            assert argument.kind is not argument.VAR_KEYWORD, f"{name} swallows any argument"


def test_the_list_of_public_names_is_whole():
    assert routerjax.__all__ == sorted(set(routerjax.__all__))
    assert set(routerjax.__all__) <= set(dir(routerjax))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = routerjax.no_such_name


@pytest.mark.parametrize("name", SUBPACKAGES)
def test_a_name_of_a_folder_is_importable_from_it_whatever_was_imported_before(name):
    """A name that a folder shares with one of its files would be now the one, now the other."""
    package = importlib.import_module(f"routerjax.{name}")
    for public in package.__all__:
        value = getattr(package, public)
        is_file = (PACKAGE / name / f"{public}.py").exists()
        assert is_file == inspect.ismodule(value), f"{name}.{public}"


def folder(name: str) -> str:
    """The folder a module stands in: "data" for "data.io.files"."""
    return name.split(".")[0]


@pytest.mark.parametrize("name", [name for name in GRAPH if folder(name) in MATHEMATICS])
def test_the_mathematics_imports_jax_numpy_and_scipy_alone(name):
    allowed = {"jax", "jaxlib", "numpy", "scipy", "jaxtyping", "lazy_loader"}
    allowed |= sys.stdlib_module_names
    for imported in imports(FILE_OF[name]):
        if imported.startswith("routerjax."):
            assert folder(imported.removeprefix("routerjax.")) in MATHEMATICS, imported
        else:
            assert imported.split(".")[0] in allowed, imported


def test_one_file_knows_pmap_and_one_knows_orbax():
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.alias)}
        assert "pmap" not in names or module(path) == "training.parallel", path
        orbax = any(name.split(".")[0] == "orbax" for name in imports(path))
        assert not orbax or module(path) == "training.checkpoint", path
    assert any(name.startswith("orbax") for name in imports(PACKAGE / "training/checkpoint.py"))


def test_arrows_run_one_way(capsys):
    """Every module imports from its own folder or from a floor below; the picture is printed."""
    height = {name: floor for floor, names in enumerate(FLOORS) for name in names}
    assert {folder(name) for name in GRAPH} - {"__main__"} == set(height), (
        "a folder without a floor"
    )
    arrows: dict[str, set[str]] = {name: set() for name in height}
    for name, imported in GRAPH.items():
        if name == "__main__":
            continue
        arrows[folder(name)] |= {folder(other) for other in imported if other in GRAPH}
        for other in imported & set(GRAPH):
            own_folder = folder(other) == folder(name)
            assert own_folder or height[folder(other)] < height[folder(name)], f"{name} → {other}"
    with capsys.disabled():
        for name in reversed([name for floor in FLOORS for name in floor]):
            print(f"{name:>11} → {', '.join(sorted(arrows[name] - {name})) or 'nothing'}")


def test_formats_know_no_columns_and_columns_no_records():
    """Formats are opened, columns understood, records checked and built, and files guessed last."""
    order = [f"data.{part}" for part in ("formats", "columns", "checks", "io", "inspection")]
    place = {part: floor for floor, part in enumerate(order)}
    for path in FILES:
        own_part = module(path).rpartition(".")[0]
        for other in own(path, at_once=True) if own_part in place else ():
            floor = place.get(other.rpartition(".")[0], 0)
            assert floor <= place[own_part], f"{module(path)} → {other}"


def test_no_two_modules_import_each_other():
    graph = {module(path): own(path, at_once=True) for path in FILES}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail, name))
        for imported in graph.get(name, ()):
            if imported not in done:
                visit(imported, (*trail, name))
        done.add(name)

    done: set[str] = set()
    for name in graph:
        visit(name, ())
    assert done >= set(graph)


def test_the_library_stands_without_its_command_line_and_studies():
    for path in FILES:
        tops = {name.split(".")[0] for name in imports(path)}
        assert not tops & {"experiments", "benchmarks", "tests"}, path
        uses_cli = any(folder(name) == "cli" for name in own(path))
        assert not uses_cli or folder(module(path)) in ("cli", "__main__"), path
