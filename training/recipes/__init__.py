"""The data sets one can prepare by name. One file a recipe; a new one is one more row here."""

from __future__ import annotations

from training.recipes import facades, flowers, golden_violet, noto_emoji, photos
from training.recipes.recipe import Recipe, UnpairedRecipe

RECIPES: dict[str, Recipe] = {
    "noto-emoji": noto_emoji.RECIPE,
    "facades": facades.RECIPE,
    "flowers": flowers.RECIPE,
    "photos": photos.RECIPE,
}

UNPAIRED_RECIPES: dict[str, UnpairedRecipe] = {"golden-violet": golden_violet.RECIPE}
"""Those of two domains in no pairs."""
