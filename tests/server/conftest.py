"""Small real models, and apps over them."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from server.app import create_app
from server.settings import Settings
from tests.server import models

MakeClient = Callable[..., TestClient]


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small model of each sort."""
    root = tmp_path_factory.mktemp("models")
    models.write_model(root / "copy", models.identity_graph(16), pictures=[{"lines": models.cat_drawing(16)}])
    models.write_model(root / "photo", models.photo_graph(16))
    models.write_model(root / "flexible", models.flexible_graph(8, 16, 64))
    models.write_model(root / "noise", models.noise_graph(16))
    models.write_model(root / "tint", models.chroma_graph(16))
    models.write_demo_lines(root, 32)
    models.write_demo_labels(root, 32)
    return root


@pytest.fixture
def settings(models_dir: Path) -> Settings:
    return Settings(models_dir=(models_dir,), bundled_models=False, preload=False, threads=1, max_loaded_models=8)


@pytest.fixture
def make_client(settings: Settings) -> Iterator[MakeClient]:
    """Makes a client over an app of its own; arguments change settings, `load` and `catalog_dir` what is served."""
    with ExitStack() as stack:

        def make(load: object = None, **changes: object) -> TestClient:
            app = create_app(settings.model_copy(update=changes), load)  # type: ignore[arg-type]
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield make


@pytest.fixture(scope="module")
def client(models_dir: Path) -> Iterator[TestClient]:
    """One app for tests that leave nothing behind."""
    settings = Settings(models_dir=(models_dir,), bundled_models=False, preload=False, threads=1, max_loaded_models=8)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def png(picture: Image.Image | np.ndarray) -> bytes:
    """A picture as a PNG file."""
    return encoded(picture, "PNG")


def encoded(picture: Image.Image | np.ndarray, image_format: str, **options: object) -> bytes:
    """A picture as a file of any format."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    target = io.BytesIO()
    image.save(target, image_format, **options)
    return target.getvalue()


def pixels(content: bytes) -> np.ndarray:
    """The pixels of a picture file."""
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Undoes what `logs.configure` does to the process."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    uvicorn_loggers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access")]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in uvicorn_loggers]
    yield
    root.handlers, root.level = handlers, level
    for logger, (own, propagate, own_level) in zip(uvicorn_loggers, before, strict=True):
        logger.handlers, logger.propagate, logger.level = own, propagate, own_level


@pytest.fixture(scope="session")
def cat() -> bytes:
    """A line drawing of 16 pixels a side."""
    return png(models.cat_drawing(16))
