"""Which text encoders are routerjax's own: what they load is named here and brings no code."""

from __future__ import annotations

from routerjax.data.encoders.encoding import DEFAULT, parted
from routerjax.data.encoders.sentence import short_name


def is_known(encoder: str) -> bool:
    """Whether an encoder is ours by its name, and not a folder, an address or a name of the hub."""
    words, _ = parted(encoder)
    return words == DEFAULT or short_name(words) is not None
