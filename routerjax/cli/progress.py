"""Progress bars on standard error."""

from __future__ import annotations

from routerjax.training.progress import progress_bars as progress_bars
