"""python docs/execute.py docs/new_surrogate.ipynb: run a notebook's cells and keep what they print.

Plain Python, cell after cell in one namespace and an empty folder, without a kernel: a notebook
here has no magics, and shows by `print` alone. The tests run it the same way.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path


def executed(notebook: dict) -> dict:
    """The notebook with what its cells print as their outputs.

    Raises:
      RuntimeError: a cell fails; the message shows it.
    """
    scope: dict = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        printed, source = io.StringIO(), "".join(cell["source"])
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(source, f"cell {count}", "exec"), scope)
        except Exception as error:
            raise RuntimeError(f"cell {count} fails ({error}):\n{source}") from error
        text = printed.getvalue().splitlines(keepends=True)
        stream = {"name": "stdout", "output_type": "stream", "text": text}
        cell["outputs"] = [stream] if text else []
        cell["execution_count"] = count
    return notebook


def execute(path: Path) -> dict:
    """Run a notebook's cells in an empty folder."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return executed(notebook)
        finally:
            os.chdir(before)


def main() -> int:
    """Run the notebooks that are named, and write them with their outputs."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the studies
    for name in sys.argv[1:]:
        path = Path(name).resolve()
        text = json.dumps(execute(path), indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
