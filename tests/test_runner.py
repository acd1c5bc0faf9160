"""How `python -m tests` runs tests: two processes, and a second chance for a few of the page's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ONCE = """
import pathlib

def test_passes_the_second_time():
    mark = pathlib.Path(__file__).with_suffix(".seen")
    seen = mark.exists()
    mark.touch()
    assert seen
"""
NEVER = "def test_never_passes(): assert False\n"
ALWAYS = "def test_passes(): pass\n"


@pytest.mark.parametrize(
    ("page", "other", "status", "told"),
    [
        (ALWAYS, ALWAYS, 0, "beside it"),
        (ONCE, ALWAYS, 0, "PASSED ONLY ALONE: tests/browser/test_page.py::test_passes_the_second_time"),
        (NEVER, ALWAYS, 1, "run again alone: tests/browser/test_page.py::test_never_passes"),
        (ALWAYS, ONCE, 1, "test_passes_the_second_time"),
        (ONCE + NEVER, ALWAYS, 1, "run again alone"),
        ("".join(NEVER.replace("never", f"never_{k}") for k in range(4)), ALWAYS, 1, "4 failed"),
        ("import no_such_module", ALWAYS, 2, "no_such_module"),
    ],
)
def test_failures_of_the_page_run_again_and_others_do_not(
    root: Path, tmp_path: Path, page: str, other: str, status: int, told: str
) -> None:
    (tmp_path / "tests/browser").mkdir(parents=True)
    (tmp_path / "tests/browser/test_page.py").write_text(page, encoding="utf-8")
    (tmp_path / "tests/test_other.py").write_text(other, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ended = subprocess.run(
        [sys.executable, root / "tests/__main__.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == status, ended.stdout
    assert told in ended.stdout
