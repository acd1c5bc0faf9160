"""All tests: `python -m tests`, or with arguments for pytest only what those choose.

All of them run in two processes side by side: the page's tests wait for their browser much of the time, the others keep a core
busy. A few of the page's tests that fail run once more when the others have ended: a slow machine can keep a browser from what
a person would never wait for. Those that pass only alone are named, for a race may hide there that only load brings out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PYTEST = (sys.executable, "-m", "pytest")
PAGE = "tests/browser"
TESTS_FAILED = 1
"""Pytest's exit status when tests ran and some failed, rather than that something else went wrong."""
AGAIN = 3
"""Failures of the page's tests that may run again; more of them are no matter of chance."""


def main(arguments: Sequence[str]) -> int:
    """The exit status: that of pytest, of the two the worse."""
    if arguments:
        return subprocess.call([*PYTEST, *arguments])
    with tempfile.TemporaryFile("w+", encoding="utf-8") as told, tempfile.TemporaryDirectory() as cache:
        page = [*PYTEST, PAGE, "-o", f"cache_dir={cache}"]
        others = subprocess.Popen([*PYTEST, f"--ignore={PAGE}"], stdout=told, stderr=subprocess.STDOUT)
        try:
            _tell(f"{PAGE}, and all other tests beside it; those are told of at the end.")
            status = subprocess.call(page)
        finally:
            # An interrupt reaches both; the second ends its tests in order, too.
            others.wait()
            told.seek(0)
            shutil.copyfileobj(told, sys.stdout)
        if status == TESTS_FAILED and 0 < len(failed := failures(Path(cache))) <= AGAIN:
            _tell(f"Failed beside the others, and run again alone: {', '.join(failed)}")
            status = subprocess.call([*page, "--last-failed"])
            if status == 0:
                _tell(f"PASSED ONLY ALONE: {', '.join(failed)}")
    return max(status, others.returncode, key=abs)


def failures(cache: Path) -> list[str]:
    """Names of the tests that failed last, by pytest's own record."""
    record = cache / "v/cache/lastfailed"
    return sorted(json.loads(record.read_text(encoding="utf-8"))) if record.exists() else []


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
