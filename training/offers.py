"""What a run has to export: for every model its graph, the held-out inputs that show it, its names and its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.datasets import PairedDataset
from training.edge_benchmark import read_scores
from training.evaluate import Evaluation
from training.families.protocol import Exportable
from training.recipes import UNPAIRED_RECIPES
from training.recipes.pairs import NAME as PAIRS
from training.recipes.pairs import WEAKNESSES as PAIR_WEAKNESSES
from training.recipes.recipe import Drawing
from training.recipes.unpaired import WEAKNESSES
from training.trained import TrainedRun
from training.unpaired import Domain, UnpairedDataset, UnpairedInfo


@dataclass(frozen=True)
class Labelling:
    """What a model is called and where it comes from.

    Attributes:
        learned_from: The data set in words, when they are not "N pairs".
        prepare: Command that prepares it, when it is not the recipe's name alone.
        weaknesses: A Markdown list for the model card, when it is not the recipe's.
        tile_overlap: Pixels that tiles of a large photo share; 0 for none.
    """

    model_id: str
    title: Mapping[str, str]
    description: Mapping[str, str]
    family: str
    config: Mapping[str, Any]
    seen_images: int
    learned_from: str | None = None
    prepare: str | None = None
    weaknesses: str | None = None
    tile_overlap: int = 0


@dataclass(frozen=True)
class Offer:
    """One model of a run.

    Attributes:
        drawings: Finished inputs for its gallery beside those of the recipe.
    """

    exportable: Exportable
    held_out: PairedDataset
    labelling: Labelling
    evaluation: Evaluation
    drawings: tuple[Drawing, ...] = ()


def offers(trained: TrainedRun, evaluation: Evaluation, model_id: str | None = None) -> Iterator[Offer]:
    """Every model of a run: one of pairs, one a direction of unpaired pictures.

    Raises:
        DatasetError: The held-out pictures cannot be read.
    """
    if isinstance(trained.info, UnpairedInfo):
        yield from _directions(trained, trained.info, evaluation, model_id)
        return
    config = trained.config
    data = f"data/{trained.data.name if trained.info.recipe == PAIRS else trained.info.recipe}"
    labelling = Labelling(
        model_id=model_id or config.name,
        title=config.title or trained.info.title,
        description=config.description or trained.info.title,
        family=config.family,
        config=_published_config(trained, data),
        seen_images=trained.images,
        prepare=trained.info.prepare and _preparation_of_pairs(trained.info.prepare, data),
        weaknesses=PAIR_WEAKNESSES if trained.info.recipe == PAIRS else None,
        tile_overlap=config.tile_overlap,
    )
    held_out = PairedDataset.open(trained.data, "val")
    scores = read_scores(trained.run.root)
    if scores is not None:
        evaluation = evaluation.model_copy(update={"figures": (*evaluation.figures, scores)})
    for exportable in trained.exportables.values():
        yield Offer(exportable, held_out, labelling, evaluation)


def _directions(trained: TrainedRun, info: UnpairedInfo, evaluation: Evaluation, model_id: str | None) -> Iterator[Offer]:
    dataset, config = UnpairedDataset.open(trained.data, "val"), trained.config
    data = f"data/{trained.data.name}"
    names = config.cyclegan
    sides: dict[str, tuple[Domain, Domain]] = {"ab": ("a", "b"), "ba": ("b", "a")}
    for way, exportable in trained.exportables.items():
        (source, target), own = sides[way], {"ab": names.ab, "ba": names.ba}[way]
        title = own.title or {"en": f"{info.names[source]} to {info.names[target]}"}
        labelling = Labelling(
            model_id=own.id or f"{model_id or config.name}-{way}",
            title=title,
            description=own.description or title,
            family=config.family,
            config=_published_config(trained, data),
            seen_images=trained.images,
            learned_from=" and ".join(f"{info.counts['train'][d]:,} pictures of {info.names[d]}" for d in (source, target)),
            prepare=_preparation(info, data),
            weaknesses=WEAKNESSES,
            tile_overlap=config.tile_overlap,
        )
        figures = tuple(figures for figures in evaluation.figures if figures.name == way)
        own_evaluation = evaluation.model_copy(update={"figures": figures})
        yield Offer(exportable, _inputs(dataset, source), labelling, own_evaluation, _own_drawings(info, source))


def _preparation_of_pairs(command: str, data: str) -> str:
    """A build has a folder of its own, which configurations name; a recipe writes where it is told to."""
    return command if " dataset build " in command else f"{command} --out {data}"


def _preparation(info: UnpairedInfo, data: str) -> str:
    folders = "--source DIR" if info.recipe in UNPAIRED_RECIPES else "--a DIR --b DIR"
    return f"inkwash-train prepare {info.recipe} {folders} --out {data}"


def _own_drawings(info: UnpairedInfo, domain: Domain) -> tuple[Drawing, ...]:
    recipe = UNPAIRED_RECIPES.get(info.recipe)
    return recipe.drawings(domain, info.size) if recipe else ()


def _inputs(dataset: UnpairedDataset, domain: Domain) -> PairedDataset:
    """Held-out pictures of one domain as inputs. Each stands for its own target too, which only hints would be taken from."""
    pictures = {"a": dataset.a, "b": dataset.b}[domain]
    info = dataset.info.side(domain)
    return PairedDataset(info, dataset.split, tuple(pictures.names), source=pictures.images, target=pictures.images)


def _published_config(trained: TrainedRun, data: str) -> dict[str, Any]:
    """The configuration with places that anyone can use: where things lay is that machine's business."""
    config = trained.config.model_dump(mode="json")
    config["data"] = data
    if start := trained.config.init_from:
        config["init_from"] = str(_published_start(start))
    if changes := trained.run.read_changes():
        config["changes"] = changes
    config["weights"] = {"kind": trained.weights.value}
    if trained.best is not None:
        config["weights"] |= {"metric": trained.best.metric, "value": trained.best.value}
    return config


def _published_start(start: Path) -> Path:
    """Where the weights to start from would lie for anyone: a run's checkpoint or a model's folder."""
    if not start.is_absolute():
        return start
    return Path("runs", *start.parts[-3:]) if start.suffix == ".ckpt" else Path("models", start.name)
