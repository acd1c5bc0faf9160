"""The data sets one can prepare by name. One file a recipe; a new one is one more row here."""

from __future__ import annotations

from training.recipes import (
    bsds500,
    cats_drawings,
    digits,
    facades,
    flowers,
    flowers_drawings,
    golden_violet,
    noto_emoji,
    photos,
)
from training.recipes.recipe import Recipe, Subject, UnpairedRecipe

RECIPES: dict[str, Recipe] = {
    "noto-emoji": noto_emoji.RECIPE,
    "facades": facades.RECIPE,
    "flowers": flowers.RECIPE,
    "photos": photos.RECIPE,
    "bsds500": bsds500.RECIPE,
    "digits": digits.RECIPE,
}

UNPAIRED_RECIPES: dict[str, UnpairedRecipe] = {"golden-violet": golden_violet.RECIPE}
"""Those of two domains in no pairs."""

SUBJECTS: dict[str, Subject] = {"cats": cats_drawings.SUBJECT, "flowers-drawn": flowers_drawings.SUBJECT}
"""By the name of a published plan of `inkwash-train dataset build`."""
