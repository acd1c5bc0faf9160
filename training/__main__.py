"""Command line of the training package: prepare, train, evaluate, export, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.table import Column, Table

from training.config import CONFIG_FOLDER, ConfigError, load_config

if TYPE_CHECKING:
    from training.recipes.pair_files import Direction, Sources
    from training.recipes.pairs import Told
    from training.trained import Weights
    from training.unpaired import UnpairedInfo

app = typer.Typer(
    name="inkwash-train", help="From a folder of images to a model that others can draw on.", no_args_is_help=True
)
console = Console(stderr=True)

EXIT_STOPPED = 130


@app.callback()
def _commands() -> None:
    """From a folder of images to a model that others can draw on."""


@app.command()
def prepare(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe; 'list' shows them.")],
    source: Annotated[Path | None, typer.Option(help="Folder with the original files; downloaded when absent.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; data/<recipe> when absent.")] = None,
    size: Annotated[int, typer.Option(min=16, max=2048, help="Side of every picture, pixels.")] = 256,
    a: Annotated[Path | None, typer.Option("--a", help="Recipe 'unpaired': folder of photos of one kind.")] = None,
    b: Annotated[Path | None, typer.Option("--b", help="Recipe 'unpaired': folder of photos of the other kind.")] = None,
    input_: Annotated[
        list[str] | None, typer.Option("--input", help="Recipe 'pairs': folder of an input, as DIR or NAME=DIR. Repeatable.")
    ] = None,
    target: Annotated[Path | None, typer.Option(help="Recipe 'pairs': folder of targets, by the names of the inputs.")] = None,
    side_by_side: Annotated[Path | None, typer.Option(help="Recipe 'pairs': folder of A|B files.")] = None,
    direction: Annotated[str | None, typer.Option(help="Of A|B files: a-to-b (the default) or b-to-a.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Recipe 'pairs': table with a column 'target' and one an input.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Recipe 'pairs': line, gray, photo or labels, as NAME=KIND. Repeatable.")
    ] = None,
    palette: Annotated[
        list[str] | None, typer.Option(help="Recipe 'pairs': classes of labels, as NAME=FILE (TOML or JSON). Repeatable.")
    ] = None,
) -> None:
    """Makes a data set of pairs, or of two folders of photos, with counts, a preview sheet and the licence."""
    from training.prepare import prepare as prepare_dataset
    from training.recipes import UNPAIRED_RECIPES, pairs, unpaired
    from training.recipes.pair_files import Sources

    if recipe == "list":
        _list_recipes()
        return
    if recipe == unpaired.NAME:
        _prepare_unpaired(source, a, b, out or Path("data") / recipe, size)
        return
    if a or b:
        raise ConfigError(f"--a and --b belong to the recipe '{unpaired.NAME}', not to '{recipe}'; leave them out.")
    if recipe in UNPAIRED_RECIPES:
        from training.prepare import prepare_domains

        _tell_domains(prepare_domains(recipe, source, out or Path("data") / recipe, size), out or Path("data") / recipe)
        return
    if recipe == pairs.NAME:
        sources = Sources(input_ or (), target, side_by_side, _direction(direction), csv)
        _prepare_pairs(source, sources, pairs.Told(kind or (), palette or ()), out or Path("data") / recipe, size)
        return
    if input_ or target or side_by_side or direction or csv or kind or palette:
        raise ConfigError(f"--input, --kind and so on belong to the recipe '{pairs.NAME}', not to '{recipe}'; leave them out.")
    folder = out or Path("data") / recipe
    info = prepare_dataset(recipe, source, folder, size)
    counts = ", ".join(f"{count} {split}" for split, count in info.counts.items())
    left_out = sum(info.rejects.values())
    console.print(f"Wrote {counts} pairs to {folder}; left out {left_out}, see dataset.json. Look at {folder}/preview.png.")


def _prepare_unpaired(source: Path | None, a: Path | None, b: Path | None, out: Path, size: int) -> None:
    from training.prepare import prepare_unpaired
    from training.recipes import unpaired

    if source or not a or not b:
        raise ConfigError(f"Recipe '{unpaired.NAME}' needs {unpaired.NEEDS}, and no --source.")
    _tell_domains(prepare_unpaired(a, b, out, size), out)


def _tell_domains(info: UnpairedInfo, out: Path) -> None:
    counts = ", ".join(f"{n['a']} and {n['b']} {split}" for split, n in info.counts.items())
    left_out = sum(sum(reasons.values()) for reasons in info.rejects.values())
    console.print(f"Wrote {counts} pictures to {out}; left out {left_out}, see dataset.json. Look at {out}/preview.png.")


def _prepare_pairs(source: Path | None, sources: Sources, told: Told, out: Path, size: int) -> None:
    from training.prepare import prepare_pairs
    from training.recipes import pairs

    if source:
        raise ConfigError(f"Recipe '{pairs.NAME}' takes no --source; give {pairs.NEEDS}.")
    info = prepare_pairs(sources, told, out, size)
    for spec in info.inputs:
        console.print(f"Input '{spec.name}': {pairs.in_words(spec)}", highlight=False)
    for caution in pairs.cautions(info.inputs):
        console.print(f"[yellow]Caution:[/] {caution}", highlight=False)
    counts = ", ".join(f"{count} {split}" for split, count in info.counts.items())
    left_out = ", ".join(f"{count} ({reason})" for reason, count in info.rejects.items()) or "none"
    console.print(f"Wrote {counts} pairs to {out}; left out {left_out}. Look at {out}/preview.png.", highlight=False)


def _direction(given: str | None) -> Direction | None:
    if given not in (None, "a-to-b", "b-to-a"):
        raise ConfigError(f"--direction is '{given}'; give 'a-to-b' or 'b-to-a'.")
    return cast("Direction | None", given)


@app.command()
def train(
    config: Annotated[str, typer.Argument(help="A .toml file, or the name of a published configuration such as 'emoji'.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override, as section.key=value. Repeatable.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run directory; runs/<name> when absent.")] = None,
    resume: Annotated[
        str, typer.Option(help="'auto' goes on from the run's checkpoint; 'never' refuses a used folder.")
    ] = "never",
    keep_best: Annotated[
        str | None,
        typer.Option(metavar="METRIC", help="Keep the weights that were best by a held-out figure, such as ssim or cycle_l1."),
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[str, typer.Option(help="How many devices a node, or 'auto'.")] = "1",
    num_nodes: Annotated[int, typer.Option(min=1, help="How many machines; start the command on each by torchrun.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")] = False,
) -> None:
    """Trains a model; Ctrl-C stops cleanly, `--resume auto` goes on."""
    from training.loop import Ending
    from training.report import write_report
    from training.run import RunError
    from training.session import Placement, run_training

    best = [f"loop.keep_best={keep_best}"] if keep_best else []
    resolved = load_config(_config_path(config), [*(set_ or []), *best])
    root = run or Path("runs") / resolved.name
    if dry_run:
        typer.echo(resolved.model_dump_json(indent=2))
        return
    if resume not in ("auto", "never"):
        raise ConfigError(f"--resume is '{resume}'; give 'auto' or 'never'.")
    if resume == "never" and (root / "checkpoints" / "last.ckpt").exists():
        raise RunError(f"{root} already holds a checkpoint; add --resume auto to go on, or choose another --run.")
    outcome = run_training(resolved, root, Placement(accelerator, devices, num_nodes))
    if not outcome.is_main:
        return
    write_report(root)
    console.print(outcome.words(root), highlight=False)
    if outcome.ending is Ending.ASKED:
        raise typer.Exit(EXIT_STOPPED)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    data: Annotated[Path | None, typer.Option(help="Prepared data set, when it has moved since training.")] = None,
    split: Annotated[str, typer.Option(help="Split to judge on.")] = "val",
    seed: Annotated[int, typer.Option(min=0, help="First seed of the noise.")] = 0,
) -> None:
    """Measures every kind of weights on held-out pictures; writes figures, a sheet of samples and report.html."""
    from training.figures import FIGURE_TITLES
    from training.judge import judge
    from training.report import write_report
    from training.trained import open_states

    served, *others = open_states(run, data)
    evaluation = judge(served, split=split, seed=seed, others=others)
    names = list(evaluation.figures[0].values)
    titles = [FIGURE_TITLES[name] for name in names]
    table = Table("protocol", "weights", "images", *titles, title=f"{evaluation.recipe}, {split}; '{served.weights}' is served")
    for place, figures in enumerate(evaluation.figures):
        for state in evaluation.states:
            values = state.figures[place].values
            table.add_row(figures.name, state.weights, f"{state.images:,}", *(f"{values[name]:.4g}" for name in names))
    Console().print(table)
    console.print(f"Look at {run / 'evaluation.png'} and {write_report(run)}.")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run directories of one data set.")],
    out: Annotated[Path, typer.Option(help="Folder for comparison.json and comparison.jpg.")],
    data: Annotated[Path | None, typer.Option(help="Prepared data set, when it has moved since training.")] = None,
    split: Annotated[str, typer.Option(help="Split to judge on.")] = "val",
    seed: Annotated[int, typer.Option(min=0, help="First seed of the noise.")] = 0,
) -> None:
    """Measures several runs on the same held-out pictures: one table, and a sheet of the same pictures through each."""
    from training.compare import COMPARISON_SHEET, compare_runs
    from training.figures import FIGURE_TITLES
    from training.trained import open_trained

    comparison = compare_runs([open_trained(run, data) for run in runs], out, split=split, seed=seed)
    names = list(dict.fromkeys(name for entrant in comparison.entrants for name in entrant.figures.values))
    titles = [FIGURE_TITLES[name] for name in names]
    caption = f"{comparison.recipe}, {split}, {comparison.pairs} pairs"
    table = Table(Column("run", no_wrap=True), "images", *titles, title=caption)
    for entrant in comparison.entrants:
        values = (entrant.figures.values.get(name) for name in names)
        cells = ("" if value is None else f"{value:.4g}" for value in values)
        table.add_row(entrant.name, "" if entrant.images is None else f"{entrant.images:,}", *cells)
    Console().print(table)
    console.print(f"Look at {out / COMPARISON_SHEET}.")


@app.command()
def diversity(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN_OR_MODEL...", help="Run directories and exported models.")],
    out: Annotated[Path, typer.Option(help="Folder for diversity.json, diversity.md and a sheet of samples of each.")],
    data: Annotated[Path | None, typer.Option(help="Prepared set of gray photos; that of the first run when absent.")] = None,
    split: Annotated[str, typer.Option(help="Split to judge on.")] = "val",
    samples: Annotated[int, typer.Option(min=1, max=64, help="Samples of each photo.")] = 8,
    count: Annotated[int | None, typer.Option(help="Photos, evenly spaced over the split; all when absent.")] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="Of the samples; published figures are at 1.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="First seed of the samples.")] = 0,
    features: Annotated[Path | None, typer.Option(help="ONNX file whose features the Fréchet distance is of.")] = None,
    feature_tensor: Annotated[str | None, typer.Option(help="Tensor of that file; its first output when absent.")] = None,
    feature_range: Annotated[str, typer.Option(help="What black and white are at its input, as LOW:HIGH.")] = "0:255",
    feature_bgr: Annotated[bool, typer.Option("--feature-bgr", help="Its input has blue first.")] = False,
) -> None:
    """Measures many answers to each photo: best of N, variance, Fréchet distance and likelihood, of several colourisers."""
    from training.datasets import PairedDataset
    from training.diversity import DIVERSITY_TABLE, Protocol, about_features, cells, headings, measure_diversity
    from training.entrants import EntrantError, open_entrants
    from training.feature_extractor import FeatureExtractor, FeatureSource

    low, high = _range(feature_range)
    extractor = FeatureExtractor(FeatureSource(features, feature_tensor, low, high, feature_bgr)) if features else None
    entrants = open_entrants(folders, data)
    chosen = data or next((entrant.data for entrant in entrants if entrant.data), None)
    if chosen is None:
        raise EntrantError("Exported models do not say where photos are; give a prepared set of gray photos by --data DIR.")
    protocol = Protocol(samples, count, temperature, seed)
    report = measure_diversity(entrants, PairedDataset.open(chosen, split), protocol, out, extractor)
    model, *others = headings(report)
    table = Table(Column(model, no_wrap=True), *others, title=f"{report.recipe}, {split}, {report.photos} photos")
    for figures in report.entrants:
        table.add_row(*(cell.split(" ±")[0] for cell in cells(figures)))  # the file has the errors; a terminal is narrow
    Console().print(table)
    console.print(f"{about_features(report)} Look at {out / DIVERSITY_TABLE} and the sheets beside it.", highlight=False)


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(":"))
    except ValueError as error:
        raise ConfigError(f"--feature-range is '{text}'; give two numbers as LOW:HIGH, for example -1:1.") from error
    return low, high


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    to: Annotated[Path, typer.Option(help="Folder of model folders.")] = Path("models"),
    model_id: Annotated[str | None, typer.Option(help="Id of the model; the configuration's name when absent.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="average, last or best; when absent best where the run keeps it, else average."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Prepared data set, when it has moved since training.")] = None,
) -> None:
    """Writes the served model: ONNX checked against PyTorch, manifest, samples, preview and model card."""
    from training.export import export_run
    from training.trained import open_trained

    for exported in export_run(open_trained(run, data, _weights(weights)), to, model_id):
        parity = exported.parity
        console.print(
            f"Wrote {exported.folder} ({exported.bytes / 1e6:.1f} MB). Against PyTorch: largest difference "
            f"{parity.largest}/255, mean {parity.mean:.5f}."
        )
    console.print(f"See it: inkwash serve --models {to}")


@app.command()
def report(run: Annotated[Path, typer.Argument(help="Run directory.")]) -> None:
    """Writes report.html of a run, finished or not: loss curves, samples, figures and settings."""
    from training.report import write_report

    console.print(f"Wrote {write_report(run)}.")


dataset_app = typer.Typer(help="From a pile of photos to pairs that can be trained on.", no_args_is_help=True)
app.add_typer(dataset_app, name="dataset")


@dataset_app.command("build")
def dataset_build(
    plan: Annotated[str, typer.Argument(help="A .toml file, or the name of a published plan such as 'cats'.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the build; builds/<name> when absent. An earlier build goes on.")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="Folder from which the plan's paths start; that of the plan's file when absent.")
    ] = None,
) -> None:
    """Collects photos, finds the subject, cuts it out, draws its lines and writes pairs, with a report of what was rejected."""
    import os

    from training.builder.build import build
    from training.builder.plan import find_plan, read_plan

    path = find_plan(plan)
    resolved = read_plan(path)
    folder = out or Path("builds") / resolved.name
    built = build(resolved, base or path.parent, folder, environment=os.environ, console=console)
    for name, (came, kept) in built.stages.items():
        console.print(f"{name}: {kept:,} of {came:,} kept", highlight=False)
    counts = ", ".join(f"{count} {split}" for split, count in built.info.counts.items())
    console.print(
        f"Wrote {counts} pairs to {folder / 'dataset'}. Look at {built.report}, then strike bad pairs:", highlight=False
    )
    console.print(f"  inkwash-train dataset view {folder}", highlight=False)


@dataset_app.command("view")
def dataset_view(
    build: Annotated[Path, typer.Argument(help="Folder of a build.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8100,
) -> None:
    """Shows the pairs of a build on a page, where bad ones are struck with the keyboard before training."""
    from training.builder.view import serve_view

    serve_view(build, host, port, on_ready=lambda address: console.print(f"Look at {address} (Ctrl-C ends).", highlight=False))


@app.command()
def boundaries(
    run: Annotated[Path, typer.Argument(help="Run directory of an edge detector.")],
    source: Annotated[Path, typer.Option(help="Folder of BSDS500, with its test photos.")],
    data: Annotated[Path | None, typer.Option(help="Prepared data set, when it has moved since training.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many photos, for a quick look.")] = None,
) -> None:
    """Measures an edge detector beside Canny on the 200 test photos of BSDS500: ODS and OIS as the benchmark does."""
    from training.edge_benchmark import measure_beside_canny, write_scores
    from training.trained import open_trained

    scores = measure_beside_canny(open_trained(run, data), source, limit)
    table = Table(
        "detector", "ODS", "precision", "recall", "OIS", "threshold", title=f"BSDS500 test, {scores[0].photos} photos"
    )
    for score in scores:
        figures = (score.ods, score.precision, score.recall, score.ois, score.threshold)
        table.add_row(score.name, *(f"{value:.3f}" for value in figures))
    Console().print(table)
    console.print(f"Wrote {write_scores(run, scores)}.", highlight=False)


def _weights(name: str | None) -> Weights | None:
    from training.trained import Weights

    if name is not None and name not in list(Weights):
        raise ConfigError(f"--weights is '{name}'; give {', '.join(Weights)}.")
    return Weights(name) if name else None


def _list_recipes() -> None:
    from training.recipes import RECIPES, UNPAIRED_RECIPES, pairs, unpaired

    needs = {recipe.name: recipe.needs for recipe in RECIPES.values()}
    needs |= {recipe.name: recipe.needs for recipe in UNPAIRED_RECIPES.values()}
    needs |= {pairs.NAME: pairs.NEEDS, unpaired.NAME: unpaired.NEEDS}
    for name, words in needs.items():
        console.print(f"[bold]{name}[/]  needs {words}", highlight=False)


def _config_path(config: str) -> Path:
    published = CONFIG_FOLDER / f"{config}.toml"
    path = published if "/" not in config and published.is_file() else Path(config)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in CONFIG_FOLDER.glob("*.toml")))
        raise ConfigError(f"Config '{config}' is neither a file nor a published configuration; published: {known}.")
    return path


def _expected_errors() -> tuple[type[Exception], ...]:
    """Mistakes that a sentence explains better than a traceback. Imported late: torch takes seconds, --help should not."""
    from training.builder.journal import BuildError
    from training.datasets import DatasetError
    from training.download import DownloadError
    from training.entrants import EntrantError
    from training.feature_extractor import FeaturesError
    from training.guard import DivergedError
    from training.onnx_graph import ExportError
    from training.recipes.recipe import SourceError
    from training.run import RunError

    return (
        BuildError,
        ConfigError,
        DatasetError,
        DivergedError,
        DownloadError,
        EntrantError,
        ExportError,
        FeaturesError,
        RunError,
        SourceError,
    )


def main() -> None:
    """Runs the command line; expected errors are one clear line and exit code 2."""
    try:
        app()
    except Exception as error:
        if not isinstance(error, _expected_errors()):
            raise
        console.print(f"[bold red]Error:[/] {error}", highlight=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
