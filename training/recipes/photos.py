"""Recipe `photos`: any folder of colour photos -> gray and colour pairs for a colouriser.

Who owns the photos may say so in an `origin.toml` beside them; without it the data set says that nobody did.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import ValidationError

from training.datasets import Origin
from training.recipes.gray_pairs import WEAKNESSES, build_gray_pairs, drawings
from training.recipes.recipe import Draft, Recipe, SourceError

ORIGIN_FILE = "origin.toml"

ORIGIN = Origin(
    name="Your own photos",
    home_page="",
    license="not stated",
    weights_license="not stated; whoever made the photos decides",
    free_samples=False,
    notice=f"Photos of a local folder. Nothing was stated about their origin; {ORIGIN_FILE} beside them would be copied here.",
)


def build(source: Path, size: int) -> Draft:
    """Gray and colour halves of every usable photo below `source`."""
    return build_gray_pairs(source, size, origin=read_origin(source))


def read_origin(source: Path) -> Origin:
    """`origin.toml` of a folder, or that nothing is known.

    Raises:
        SourceError: The file is there and says something else than an origin.
    """
    path = source / ORIGIN_FILE
    if not path.is_file():
        return ORIGIN
    try:
        return Origin.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        faults = ", ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].lower()}" for fault in error.errors())
        raise SourceError(f"'{path}' does not state an origin ({faults}); give {', '.join(Origin.model_fields)}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"'{path}' is not valid TOML ({error}).") from error


RECIPE = Recipe(
    name="photos",
    title={"en": "Photos: gray to colour", "ja": "写真:白黒からカラーへ"},
    kind="gray",
    palette=(),
    background=128,
    origin=ORIGIN,
    downloads=(),
    needs="colour photos (JPEG, PNG, WebP, TIFF, BMP), in folders of any depth",
    build=build,
    drawings=drawings,
    weaknesses=WEAKNESSES,
)
