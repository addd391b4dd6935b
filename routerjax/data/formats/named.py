"""Public tables by their name wherever a path is taken."""

from __future__ import annotations

import re
from pathlib import Path

NAME = re.compile(r"[a-z][a-z0-9-]*")


def public_file(name: str) -> Path | None:
    """The wide file of a public table, where `name` is its name and there is no such file here.

    It is made, and what it is made of is fetched, where that has not been done.

    Raises:
      InputError: the table is nowhere, in one sentence that says which file to put where.
    """
    if not NAME.fullmatch(name):
        return None
    from routerjax.data.public.tables import PUBLIC_TABLES, wide_file

    return wide_file(name) if name in PUBLIC_TABLES and not Path(name).exists() else None
