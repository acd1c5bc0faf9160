"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: once Playwright runs, its event loop fills the main thread until the session ends."""
    items.sort(key=lambda item: "browser" in Path(item.nodeid.partition("::")[0]).parts)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own INKWASH_* variables must not decide what a test sees."""
    for name in [name for name in os.environ if name.upper().startswith("INKWASH_")]:
        monkeypatch.delenv(name)
