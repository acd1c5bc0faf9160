"""What tests of the builder share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def bundled_tracer() -> Path:
    """The folder of the bundled model that draws photos in lines."""
    return Path(__file__).parents[3] / "models" / "sketch"
