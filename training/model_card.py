"""The model card: in words a person can judge a model by. It computes nothing; it tells what the manifest says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.config import CONFIG_FOLDER
from training.datasets import DatasetInfo
from training.figures import FIGURE_TITLES
from training.recipes import RECIPES, SUBJECTS


@dataclass(frozen=True)
class Card:
    """What the card is written from. Parity is in steps of uint8, the share in [0, 1]."""

    manifest: dict[str, Any]
    info: DatasetInfo
    parity_largest: int
    parity_mean: float
    parity_share: float
    learned_from: str | None = None
    prepare: str | None = None
    weaknesses: str | None = None


def write_card(path: Path, card: Card) -> None:
    """Writes Markdown."""
    sections = (_head(card), _origin(card), _figures(card), _weaknesses(card), _reproduction(card))
    path.write_text("\n\n".join(section.strip() for section in sections if section) + "\n", "utf-8")


def _head(card: Card) -> str:
    manifest = card.manifest
    inputs = "\n".join(f"- {_input_words(spec)}" for spec in manifest["inputs"])
    return f"""# {manifest["title"]["en"]}

{manifest["description"]["en"]}

![An input and what the model makes of it](preview.png)

Takes

{inputs}

and gives {_output_words(manifest["output"])} of the same size."""


def _output_words(output: dict[str, Any]) -> str:
    if output.get("line"):
        return f"a drawing, {output['line']['ink']} lines,"
    return "an RGB picture" if output["channels"] == 3 else "a gray picture"


_PICTURES = {"line": "a line drawing", "labels": "a map of labels", "gray": "a gray photo", "photo": "a colour photo"}


def _input_words(spec: dict[str, Any]) -> str:
    size = _size_words(spec["size"])
    optional = ", optional" if spec["optional"] else ""
    if spec["kind"] == "line":
        width = f"{spec['line_width_px']:g} px"
        return f"`{spec['name']}`: a line drawing, {spec['ink']} ink, lines {width} wide at {size}{optional}"
    if spec["kind"] == "labels":
        names = ", ".join(f"{entry['name']['en'].lower()} `{entry['color']}`" for entry in spec["palette"])
        return f"`{spec['name']}`: a label map, {size}, of the classes {names}{optional}"
    if spec["kind"] == "hints":
        return f"`{spec['name']}`: dabs of colour on transparent ground, {size}{optional}, that the result takes up"
    if spec["channels"] not in (1, 3):
        return f"`{spec['name']}`: a NumPy array of {spec['channels']} channels, {size}{optional}"
    return f"`{spec['name']}`: {_PICTURES[spec['kind']]}, {size}{optional}"


def _size_words(size: dict[str, int]) -> str:
    if "width" in size:
        return f"{size['width']}x{size['height']}"
    return f"any size from {size['min']} to {size['max']} pixels a side in steps of {size['multiple_of']}"


def _origin(card: Card) -> str:
    training, origin = card.manifest["training"], card.info.origin
    learned_from = card.learned_from or f"{training['images']:,} pairs"
    name = f"[{origin.name}]({origin.home_page})" if origin.home_page else origin.name
    which = _start_words(training["config"]) + _weights_words(training["config"])
    return f"""## What it learned from

{learned_from} of {name}, shown {training["seen_images"]:,} times, repeats counted.{which}
Licence of the data: {training["source_license"]}. Licence of these weights: {card.manifest["license"]}.

```text
{origin.notice.strip()}
```"""


def _figures(card: Card) -> str:
    metrics = card.manifest["metrics"]
    if not metrics:
        return ""
    rows: dict[str, dict[str, float]] = {}
    for metric in metrics:
        rows.setdefault(metric["protocol"], {})[metric["name"].rpartition("/")[2]] = metric["value"]
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    head = "| protocol | " + " | ".join(FIGURE_TITLES.get(name, name) for name in names) + " |"
    cells = {
        protocol: " | ".join(f"{row[name]:.4g}" if name in row else "" for name in names) for protocol, row in rows.items()
    }
    body = "\n".join(f"| {protocol} | {figures} |" for protocol, figures in cells.items())
    return f"""## Held-out figures

{head}
|---{"|---:" * len(names)}|
{body}

A translation has many right answers: these figures compare states of one model, not models with one another.

In onnxruntime the pictures differ from PyTorch's by at most {card.parity_largest} step of 255 (mean {card.parity_mean:.5f},
{card.parity_share:.3%} of values)."""


def _weaknesses(card: Card) -> str:
    recipe = RECIPES.get(card.info.recipe) or SUBJECTS.get(card.info.recipe)
    weaknesses = card.weaknesses or (recipe.weaknesses if recipe else "")
    return f"## What it does badly\n\n{weaknesses}" if weaknesses else ""


def _reproduction(card: Card) -> str:
    config = card.manifest["training"]["config"]
    name, data = config.get("name", card.manifest["id"]), config.get("data", "DATA")
    start = Path(config.get("init_from") or "")
    is_published = len(start.parts) >= 3 and (CONFIG_FOLDER / f"{start.parts[-3]}.toml").is_file()
    first_stage = f"inkwash-train train {start.parts[-3]}\n" if is_published else ""
    changes = "".join(f"\n- after {change['images']:,} images: {_change_words(change)}" for change in config.get("changes", []))
    history = f"\n\nSettings were changed while it trained:\n{changes}" if changes else ""
    return f"""## How to make it again

```sh
{card.prepare or f"inkwash-train prepare {card.info.recipe} --out {data}"}
{first_stage}inkwash-train train {name}
inkwash-train export runs/{name} --to models/
```

`manifest.json` holds the whole configuration under `training.config`.
Code version {card.manifest["training"]["code_version"]}.{history}"""


def _change_words(change: dict[str, Any]) -> str:
    words = ", ".join(f"`{key}` from {was} to {now}" for key, (was, now) in change["changed"].items())
    return f"{words}. {change['reason']}, so training went back to here" if "reason" in change else words


def _start_words(config: dict[str, Any]) -> str:
    start = config.get("init_from")
    return (
        f"\nThe run began with the weights of an earlier one, `{start}`, and what that had seen is not counted."
        if start
        else ""
    )


def _weights_words(config: dict[str, Any]) -> str:
    """Which weights of the run these are, as a sentence of its own, where the manifest says so."""
    weights = config.get("weights", {})
    metric = FIGURE_TITLES.get(weights.get("metric", ""), weights.get("metric"))
    sentences = {
        "average": "These weights are the running average at the end of training.",
        "last": "These weights are those of the last step, not an average.",
        "best": f"These weights are the running average where, while training, the held-out figure '{metric}' was best.",
    }
    return f"\n{sentences[weights['kind']]}" if weights.get("kind") in sentences else ""
