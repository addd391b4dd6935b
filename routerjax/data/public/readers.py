"""Which function reads which layout of the catalogue."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping

from routerjax.data.public.answers import read_answers
from routerjax.data.public.compendium import read_compendium
from routerjax.data.public.mixinstruct import read_mixinstruct
from routerjax.data.public.result_files import read_result_files
from routerjax.data.public.routerbench import read_routerbench
from routerjax.data.public.routereval import read_routereval
from routerjax.data.public.sprout import read_sprout
from routerjax.records.tables import Table

READERS: Mapping[str, Callable[..., Table]] = types.MappingProxyType(
    {
        "answers": read_answers,
        "compendium": read_compendium,
        "mixinstruct": read_mixinstruct,
        "result-files": read_result_files,
        "routerbench": read_routerbench,
        "routereval": read_routereval,
        "sprout": read_sprout,
    }
)
"""Each takes a path and returns a table."""

PRICED = ("sprout",)
"""Layouts that count tokens: their readers take ``prices`` too."""
