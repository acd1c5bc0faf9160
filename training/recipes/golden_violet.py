"""Recipe `golden-violet`: species of Oxford 102 Flowers -> golden flowers and violet ones, in no pairs."""

from __future__ import annotations

from pathlib import Path

from training.recipes.gray_pairs import PICTURES, read_picture, square
from training.recipes.oxford_flowers import ORIGIN
from training.recipes.recipe import Drawing, SourceError, UnpairedDraft, UnpairedRecipe
from training.recipes.unpaired import build_from
from training.unpaired import Domain

SPECIES: dict[Domain, frozenset[str]] = {
    "a": frozenset(
        {
            "black-eyed-susan", "buttercup", "californian-poppy", "colt's-foot", "common-dandelion", "english-marigold",
            "gazania", "marigold", "orange-dahlia", "sunflower", "watercress", "yellow-iris",
        }
    ),
    "b": frozenset(
        {
            "balloon-flower", "bolero-deep-blue", "bougainvillea", "canterbury-bells", "clematis", "garden-phlox",
            "mexican-aster", "mexican-petunia", "monkshood", "morning-glory", "osteospermum", "tree-mallow",
        }
    ),
}  # fmt: skip
"""Species whose photos are nearly all of that colour. Where one is missing, the others are used."""


def build(source: Path, size: int) -> UnpairedDraft:
    """Photos of the golden species and of the violet ones.

    Raises:
        SourceError: Not one folder of a colour's species is there.
    """
    for species in SPECIES.values():
        if not any((source / name).is_dir() for name in species):
            raise SourceError(f"'{source}' has none of the folders {', '.join(sorted(species))}; give {RECIPE.needs}.")
    return build_from(dict.fromkeys(SPECIES, source), size, within=SPECIES)


def drawings(domain: Domain, size: int) -> tuple[Drawing, ...]:
    """A free photo of a dahlia, dyed; see pictures/README.md."""
    color, english, japanese = {"a": ("golden", "Golden", "金色の"), "b": ("violet", "Violet", "紫の")}[domain]
    title = {"en": f"{english} dahlia (photo: vultilion, CC BY 2.0)", "ja": f"{japanese}ダリア(写真:vultilion、CC BY 2.0)"}
    return (Drawing(title=title, inputs={"image": square(read_picture(PICTURES / f"{color}-dahlia.jpg"), size)}),)


RECIPE = UnpairedRecipe(
    name="golden-violet",
    title={"en": "Golden flowers and violet flowers", "ja": "金色の花と紫の花"},
    names={"a": "golden flowers", "b": "violet flowers"},
    origin=ORIGIN,
    needs="photos of the Oxford 102 Category Flower Dataset in a folder a species (sunflower/, bougainvillea/, ...)",
    build=build,
    drawings=drawings,
)
