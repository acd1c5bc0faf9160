"""How many CPU cores this process may use: the container's quota, the affinity mask, the machine. It changes nothing."""

from __future__ import annotations

import math
import os
from pathlib import Path


def usable_cores(root: Path = Path("/")) -> int:
    """The smallest of cgroup quota (v2 or v1), affinity and installed cores, at least 1.

    onnxruntime sizes its pool by the host and so overcommits a limited container, which is slower than too few threads.
    """
    quota = _quota_v2(root / "sys/fs/cgroup") or _quota_v1(root / "sys/fs/cgroup/cpu")
    installed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(installed, math.ceil(quota)) if quota else installed)


def _quota_v2(folder: Path) -> float | None:
    """`cpu.max` is `<quota> <period>` in microseconds, or `max <period>` without a limit."""
    words = _words(folder / "cpu.max")
    if len(words) != 2 or words[0] == "max":
        return None
    return _share(words[0], words[1])


def _quota_v1(folder: Path) -> float | None:
    """A quota of -1 means no limit."""
    quota, period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
    return _share(quota[0], period[0]) if quota and period else None


def _share(quota: str, period: str) -> float | None:
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
