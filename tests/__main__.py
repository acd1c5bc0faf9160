"""All tests: `python -m tests`, or with arguments for pytest only what those choose.

All of them run in two processes side by side: the page's tests wait for their browser much of the time, the others keep a core
busy.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence

PYTEST = (sys.executable, "-m", "pytest")
PAGE = "tests/browser"


def main(arguments: Sequence[str]) -> int:
    """The exit status: that of pytest, of the two the worse."""
    if arguments:
        return subprocess.call([*PYTEST, *arguments])
    with tempfile.TemporaryFile("w+", encoding="utf-8") as told:
        others = subprocess.Popen([*PYTEST, f"--ignore={PAGE}"], stdout=told, stderr=subprocess.STDOUT)
        try:
            sys.stdout.write(f"{PAGE}, and all other tests beside it; those are told of at the end.\n")
            sys.stdout.flush()
            status = subprocess.call([*PYTEST, PAGE])
        finally:
            # An interrupt reaches both; the second ends its tests in order, too.
            others.wait()
            told.seek(0)
            shutil.copyfileobj(told, sys.stdout)
    return max(status, others.returncode, key=abs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
