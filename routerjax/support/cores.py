"""How many cores this process may use: those of the machine are often not all its own."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use."""


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Cores that the process is bound to, no more than its container's share of time, at least 1.

    Args:
      cgroup: folder of the control group, of version 2 (`cpu.max`) or 1 (`cpu/cpu.cfs_quota_us`).
    """
    if hasattr(os, "sched_getaffinity"):
        bound = len(os.sched_getaffinity(0))
    else:  # macOS and Windows do not bind processes to cores
        bound = os.cpu_count() or 1
    share = _share(cgroup)
    return max(1, bound if share is None else min(bound, int(share)))


def _share(cgroup: Path) -> float | None:
    """Cores' worth of time that the control group grants; None where it sets no limit."""
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (cgroup / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (
            (cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
        )
        return None if int(quota) < 0 else int(quota) / int(period)
    return None
