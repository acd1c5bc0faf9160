"""Pairs of anyone's own: which files belong together, what their inputs are, and what becomes of them."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from tests.training.synthetic import SIDE
from training.__main__ import app
from training.config import ConfigError
from training.datasets import DatasetInfo, PairedDataset, read_info
from training.material import source_spec
from training.prepare import prepare_pairs
from training.recipes import pairs
from training.recipes.pair_files import Sources, from_folders, from_table
from training.recipes.pair_kinds import find_palette, guess_kind, read_palette, snap
from training.recipes.pairs import Told, cautions, in_words
from training.recipes.recipe import SourceError

COUNT = 12
ROCKS = np.array([(230, 220, 160), (180, 90, 70), (120, 150, 90)], np.uint8)


def _numbers(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """A map of three rocks, a relief of 16 bits and a picture, which show the same square at place `k`."""
    rock = np.zeros((48, 48), np.uint8)
    rock[2 * k : 2 * k + 12, 10:30], rock[40:, :] = 1, 2
    relief = (1000 * k + 20_000 * (rock == 1)).astype(np.uint16)
    return rock, relief, ROCKS[rock] // 2 + np.uint8(k)


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """geology/*.png in colours, relief/*.tif, wide/*.npy of five channels, and target/*.png of the same names."""
    for name in ("geology", "relief", "wide", "target"):
        (tmp_path / name).mkdir()
    for k in range(COUNT):
        rock, relief, picture = _numbers(k)
        Image.fromarray(ROCKS[rock]).save(tmp_path / "geology" / f"sheet-{k}.png")
        tifffile.imwrite(tmp_path / "relief" / f"sheet-{k}.tif", relief)
        np.save(tmp_path / "wide" / f"sheet-{k}.npy", np.stack([relief] * 5, axis=-1))
        Image.fromarray(picture).save(tmp_path / "target" / f"sheet-{k}.png")
    return tmp_path


def _sources(root: Path, *names: str) -> Sources:
    return Sources(inputs=[f"{name}={root / name}" for name in names], target=root / "target")


def _prepared(root: Path, sources: Sources, told: Told | None = None) -> DatasetInfo:
    return prepare_pairs(sources, told or Told(), root / "out", SIDE)


def _row_of(dataset: PairedDataset, number: int) -> int:
    return dataset.names.index(f"sheet-{number}")


def test_folders_of_several_named_inputs_become_one_set(maps: Path) -> None:
    info = _prepared(maps, _sources(maps, "geology", "relief", "wide"))
    assert [(spec.name, spec.kind, spec.channels) for spec in info.inputs] == [
        ("geology", "labels", 1),
        ("relief", "gray", 1),
        ("wide", "photo", 5),
    ]
    assert sum(info.counts.values()) == COUNT
    assert info.title == {"en": "Geology and relief and wide to target"}
    assert read_info(maps / "out") == info
    train = PairedDataset.open(maps / "out", "train")
    assert {name: images.shape[1:] for name, images in train.inputs().items()} == {
        "geology": (SIDE, SIDE, 1),
        "relief": (SIDE, SIDE, 1),
        "wide": (SIDE, SIDE, 5),
    }


def test_what_lay_on_one_another_still_does(maps: Path) -> None:
    """All pictures of a pair show the square at one place, cut and scaled in the same way."""
    _prepared(maps, _sources(maps, "geology", "relief"))
    train = PairedDataset.open(maps / "out", "train")
    for k in range(len(train)):
        number = int(train.names[k].rpartition("-")[2])
        square = train.source[k, ..., 0] == [entry.color for entry in train.info.main.palette].index("#b45a46")
        relief = train.others["relief"][k, ..., 0] > (1000 * number + 10_000) / 257
        red = train.target[k, ..., 0].astype(int) - train.target[k, ..., 1] > 30
        assert square.sum() > 50
        assert (square != relief).mean() < 0.02  # nearest against Lanczos, along the edge
        assert (square != red).mean() < 0.02


def test_sixteen_bits_are_scaled_and_their_range_is_told(maps: Path) -> None:
    info = _prepared(maps, _sources(maps, "relief"))
    assert info.main.values == pytest.approx((0, (1000 * (COUNT - 1) + 20_000) / 65535), abs=1e-6)
    assert not list(cautions(info.inputs))
    dataset = PairedDataset.open(maps / "out", "train")
    k = int(dataset.names[0].rpartition("-")[2])
    assert dataset.source[0, 30, 1, 0] == round(1000 * k / 257)


def test_range_of_few_steps_is_a_caution(maps: Path) -> None:
    for path in (maps / "relief").glob("*.tif"):
        tifffile.imwrite(path, tifffile.imread(path) // 32)
    (caution,) = cautions(_prepared(maps, _sources(maps, "relief")).inputs)
    assert "'relief' uses its scale from 0.0% to 1.5% only, which leaves 5 of 256 steps" in caution


def test_names_without_a_partner_are_left_out_with_a_reason(maps: Path) -> None:
    (maps / "relief" / "sheet-3.tif").unlink()
    (maps / "target" / "sheet-4.png").unlink()
    (maps / "geology" / "sheet-5.tif").write_bytes(b"")
    info = _prepared(maps, _sources(maps, "geology", "relief"))
    assert info.rejects == {
        "another file has the same name": 1,
        "no input 'relief' of this name": 1,
        "no target of this name": 1,
    }


def test_damaged_doubled_and_misshapen_pairs_are_left_out_with_a_reason(maps: Path) -> None:
    (maps / "geology" / "sheet-3.png").write_bytes(b"broken")
    for name in ("geology/sheet-5.png", "target/sheet-5.png"):
        (maps / name).write_bytes((maps / name.replace("5", "6")).read_bytes())
    Image.new("RGB", (48, 30)).save(maps / "target" / "sheet-7.png")
    info = _prepared(maps, _sources(maps, "geology"))
    assert info.rejects == {
        "input 'geology' cannot be read": 1,
        "input 'geology' has another aspect than its target": 1,
        "same pictures as another pair": 1,
    }
    assert sum(info.counts.values()) == COUNT - 3


def test_split_follows_from_names(maps: Path) -> None:
    first = _prepared(maps, _sources(maps, "geology"))
    held_out = set(PairedDataset.open(maps / "out", "val").names)
    (maps / "target" / "sheet-0.png").unlink()
    _prepared(maps, _sources(maps, "geology"))
    assert first.counts["val"] >= 1
    assert set(PairedDataset.open(maps / "out", "val").names) - {"sheet-0"} == held_out - {"sheet-0"}


def test_folders_that_name_splits_keep_them(maps: Path) -> None:
    for name in ("geology", "target"):
        for k in range(COUNT):
            path, split = maps / name / f"sheet-{k}.png", "test" if k < 2 else "val" if k < 5 else "train"
            (maps / name / split).mkdir(exist_ok=True)
            path.rename(path.parent / split / path.name)
    assert _prepared(maps, _sources(maps, "geology")).counts == {"train": 7, "val": 3, "test": 2}


@pytest.mark.parametrize("direction", ["a-to-b", "b-to-a"])
def test_halves_of_a_file_are_a_pair_in_either_direction(tmp_path: Path, direction: str) -> None:
    for k in range(4):
        both = np.zeros((40, 80, 3), np.uint8)
        both[:, :40], both[:, 40:] = (200, 10 * k, 0), (0, 10 * k, 200)
        (tmp_path / "ab").mkdir(exist_ok=True)
        Image.fromarray(both).save(tmp_path / "ab" / f"{k}.png")
    told = Told(kinds=["photo"])
    info = prepare_pairs(Sources(side_by_side=tmp_path / "ab", direction=direction), told, tmp_path / "out", SIDE)  # type: ignore[arg-type]
    train = PairedDataset.open(tmp_path / "out", "train")
    a, b = (train.source, train.target) if direction == "a-to-b" else (train.target, train.source)
    assert (a[..., 0] == 200).all()
    assert (b[..., 2] == 200).all()
    assert (a[..., 1] == b[..., 1]).all()
    assert info.main.name == "image"


def test_file_without_halves_is_named(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    for k in range(3):
        Image.new("RGB", (81 if k == 2 else 80, 40)).save(tmp_path / "ab" / f"{k}.png")
    with pytest.raises(SourceError, match=r"2\.png' is 81 pixels wide, which has no half"):
        prepare_pairs(Sources(side_by_side=tmp_path / "ab"), Told(), tmp_path / "out", SIDE)


def test_table_names_inputs_by_its_header(maps: Path) -> None:
    rows = [
        f"target/sheet-{k}.png, geology/sheet-{k}.png,relief/sheet-{k}.tif,{'val' if k < 3 else 'train'}" for k in range(10)
    ]
    rows += ["target/none.png,geology/sheet-1.png,relief/sheet-1.tif,train", "target/sheet-11.png,,relief/sheet-11.tif,train"]
    rows += ["target/sheet-10.png,geology/sheet-10.png,relief/sheet-10.tif,later"]
    table = maps / "pairs.csv"
    table.write_text("\ufefftarget,geology,relief,split\n" + "\n".join(rows) + "\n", "utf-8")
    info = _prepared(maps, Sources(table=table))
    assert [spec.name for spec in info.inputs] == ["geology", "relief"]
    assert info.counts == {"train": 7, "val": 3}
    assert info.rejects == {
        "no file in column 'geology'": 1,
        "the file in column 'target' is missing": 1,
        "unknown split 'later'": 1,
    }


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        ("image,picture", "its first line must name 'target'"),
        ("target", "a column for each input"),
        ("target,image,image", "names a column twice"),
        ("target,Relief map", "'Relief map' cannot be called so"),
        ("target,hints", "that name means something else"),
        ("target,relief,image", "Only the first input may be called 'image'"),
    ],
)
def test_header_that_cannot_be_used_is_refused(tmp_path: Path, header: str, wrong: str) -> None:
    (tmp_path / "pairs.csv").write_text(f"{header}\n", "utf-8")
    with pytest.raises(SourceError, match=wrong):
        from_table(tmp_path / "pairs.csv")


@pytest.mark.parametrize(
    ("sources", "wrong"),
    [
        (Sources(), "needs --input"),
        (Sources(inputs=["x"]), "needs --input"),
        (Sources(inputs=["x"], target=Path("y"), table=Path("z")), "only one of these"),
        (Sources(inputs=["x", "y"], target=Path("z")), "--input is given twice for input 'image'"),
        (Sources(inputs=["x"], target=Path("z")), "--input 'x' is not a folder"),
        (Sources(table=Path("z"), direction="b-to-a"), "--direction says which half"),
        (Sources(table=Path("z.csv")), "--csv 'z.csv' cannot be read"),
    ],
)
def test_sources_that_make_no_sense_are_refused(tmp_path: Path, sources: Sources, wrong: str) -> None:
    with pytest.raises(SourceError, match=wrong):
        prepare_pairs(sources, Told(), tmp_path / "out", SIDE)


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        (Told(kinds=["relief=heights"]), "no such kind; choose one of line, labels, gray, photo"),
        (Told(kinds=["rivers=line"]), "--kind names input 'rivers'; the inputs are geology, relief"),
        (Told(kinds=["gray"], palettes=["x.toml"]), "'geology' is of kind gray, which has no palette"),
        (Told(kinds=["relief=labels"]), "has more than 64 colours"),
    ],
)
def test_kinds_that_make_no_sense_are_refused(maps: Path, told: Told, wrong: str) -> None:
    ramp = np.arange(48 * 48, dtype=np.uint16).reshape(48, 48) * 28
    tifffile.imwrite(maps / "relief" / "sheet-0.tif", ramp)
    with pytest.raises(SourceError, match=wrong):
        _prepared(maps, _sources(maps, "geology", "relief"), told)


def test_too_few_pairs_are_refused_with_an_example_of_what_was_left_out(maps: Path) -> None:
    for path in list((maps / "target").iterdir())[1:]:
        path.unlink()
    with pytest.raises(SourceError, match=r"found 1 pairs \(11 files or pairs were left out, such as .*no target of this name"):
        _prepared(maps, _sources(maps, "geology"))


def test_palette_file_gives_classes_their_names_and_order(maps: Path) -> None:
    entries = [("Granite", "#B45A46"), ("Sand", "#e6dca0"), ("Moor", "#78965a")]
    toml = "\n".join(f'[[palette]]\nname = "{name}"\ncolor = "{color}"' for name, color in entries)
    (maps / "rocks.toml").write_text(toml, "utf-8")
    (maps / "rocks.json").write_text(json.dumps([{"name": {"en": n, "ja": n}, "color": c} for n, c in entries]), "utf-8")
    info = _prepared(maps, _sources(maps, "geology"), Told(palettes=[f"geology={maps / 'rocks.toml'}"]))
    assert [(e.name["en"], e.color) for e in info.main.palette] == [(name, color.lower()) for name, color in entries]
    assert [entry.color for entry in read_palette(maps / "rocks.json")] == [entry.color for entry in info.main.palette]
    assert "--palette geology=FILE" in (info.prepare or "")
    assert PairedDataset.open(maps / "out", "train").source[0, 31, 0, 0] == 2
    assert in_words(info.main) == "labels of 3 classes: Granite, Sand, Moor"


@pytest.mark.parametrize("text", ["[[palette]]\nname = 'A'\ncolor = '#ff0000'", "[[palette]]\nname = 'A'", "palette = 3", "?"])
def test_file_that_is_no_palette_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.toml").write_text(text, "utf-8")
    with pytest.raises(SourceError, match=r"--palette '.*p\.toml'"):
        read_palette(tmp_path / "p.toml")


def test_small_gray_values_are_class_indices_and_colours_are_found_by_frequency() -> None:
    indices = np.array([[0, 0, 3]], np.uint8)[..., None]
    palette = find_palette([indices], "x")
    assert len(palette) == 4
    assert len({entry.color for entry in find_palette([np.arange(64, dtype=np.uint8).reshape(8, 8, 1)], "x")}) == 64
    np.testing.assert_array_equal(snap(indices, palette), indices)
    colored = find_palette([np.array([[(9, 9, 9), (200, 0, 0), (200, 0, 0)]], np.uint8)], "x")
    assert [entry.color for entry in colored] == ["#c80000", "#090909"]


def test_colours_are_snapped_and_another_picture_is_left_out(maps: Path) -> None:
    rock, _, _ = _numbers(2)
    noisy = ROCKS[rock].astype(int) + np.random.default_rng(0).integers(-9, 9, (48, 48, 3))
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(maps / "geology" / "sheet-2.png")
    Image.new("RGB", (48, 48), "blue").save(maps / "geology" / "sheet-3.png")
    entries = "\n".join(f'[[palette]]\nname = "{k}"\ncolor = "#{r:02x}{g:02x}{b:02x}"' for k, (r, g, b) in enumerate(ROCKS))
    (maps / "rocks.toml").write_text(entries, "utf-8")
    info = _prepared(maps, _sources(maps, "geology"), Told(palettes=[str(maps / "rocks.toml")]))
    assert info.rejects == {"input 'geology' has other colours than the palette": 1}
    snapped = snap(noisy.clip(0, 255).astype(np.uint8), info.main.palette)
    assert (snapped[..., 0] == rock).all()


def _strokes(ground: int, ink: int) -> np.ndarray:  # type: ignore[type-arg]
    image = Image.new("L", (200, 200), ground)
    ImageDraw.Draw(image).ellipse((30, 30, 160, 170), outline=ink, width=4)
    return np.asarray(image)[..., None]


def _pictures() -> Mapping[str, np.ndarray]:  # type: ignore[type-arg]
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mask = np.zeros((64, 64, 1), np.uint8)
    mask[10:30, 10:30] = 255
    return {
        "line": _strokes(255, 0),
        "line on black": _strokes(0, 255),
        "line in rgb": np.repeat(_strokes(255, 20), 3, axis=-1),
        "labels": ROCKS[_numbers(3)[0]],
        "labels of two": mask,
        "gray": noise[..., :1],
        "gray in rgb": np.repeat(noise[..., :1], 3, axis=-1),
        "photo": noise,
        "photo of five": np.concatenate([noise, noise[..., :2]], axis=-1),
    }


@pytest.mark.parametrize("name", _pictures())
def test_kind_is_guessed_from_the_pictures(name: str) -> None:
    assert guess_kind([_pictures()[name]] * 2, are_exact=True) == name.partition(" ")[0]


def test_few_colours_of_a_lossy_file_are_no_classes() -> None:
    assert guess_kind([_pictures()["labels"]], are_exact=False) == "photo"


def test_lines_on_dark_paper_are_turned_over_and_measured(tmp_path: Path) -> None:
    for name in ("drawings", "target"):
        (tmp_path / name).mkdir()
    for k in range(3):
        Image.fromarray(np.roll(_strokes(0, 255)[..., 0], k, axis=1)).save(tmp_path / "drawings" / f"{k}.png")
        Image.new("RGB", (200, 200), (k, 0, 0)).save(tmp_path / "target" / f"{k}.png")
    info = prepare_pairs(
        Sources(inputs=[str(tmp_path / "drawings")], target=tmp_path / "target"), Told(), tmp_path / "out", 200
    )
    assert (info.main.kind, info.main.ink, info.main.background) == ("line", "dark", 255)
    assert info.main.line_width_px == pytest.approx(4, abs=1)
    assert np.median(PairedDataset.open(tmp_path / "out", "train").source) == 255
    assert info.title == {"en": "Drawings to target"}


def test_channels_of_an_input_are_those_of_most_of_its_files(maps: Path) -> None:
    np.save(maps / "wide" / "sheet-2.npy", np.zeros((48, 48, 4), np.uint8))
    Image.new("L", (48, 48), 7).save(maps / "target" / "sheet-3.png")
    np.save(maps / "target" / "sheet-4.npy", np.zeros((48, 48, 6), np.uint8))
    (maps / "target" / "sheet-4.png").unlink()
    info = _prepared(maps, _sources(maps, "wide"))
    assert info.rejects == {
        "input 'wide' has 4 channels, others of its input have 5": 1,
        "target has 6 channels, not gray or RGB": 1,
    }
    everything = [PairedDataset.open(maps / "out", split) for split in info.counts]
    (gray,) = (dataset.target[_row_of(dataset, 3)] for dataset in everything if "sheet-3" in dataset.names)
    assert (gray == 7).all()


def test_origin_beside_or_above_the_folders_is_taken_over(maps: Path) -> None:
    assert _prepared(maps, _sources(maps, "geology")).origin.license == "not stated"
    origin = 'name = "Ours"\nhome_page = ""\nlicense = "CC0"\nweights_license = "CC0"\nfree_samples = true\nnotice = "Ours."\n'
    (maps / "origin.toml").write_text(origin, "utf-8")
    assert _prepared(maps, _sources(maps, "geology")).origin.license == "CC0"
    (maps / "target" / "origin.toml").write_text(origin.replace('"CC0"', '"CC-BY-4.0"').replace("true", "false"), "utf-8")
    info = _prepared(maps, _sources(maps, "geology"))
    assert info.origin.license == "CC0; CC-BY-4.0"
    assert not info.origin.free_samples
    assert "Ours." in (maps / "out" / "LICENSE.txt").read_text("utf-8")


def test_preview_shows_every_input_beside_the_target(maps: Path) -> None:
    _prepared(maps, _sources(maps, "geology", "relief", "wide"))
    with Image.open(maps / "out" / "preview.png") as sheet:
        assert sheet.width == 16 * (SIDE + 4) + 4  # four pairs a row, of three inputs and a target


def test_several_inputs_become_one_condition(maps: Path) -> None:
    info = _prepared(maps, _sources(maps, "geology", "relief", "wide"))
    spec = source_spec(info)
    assert [own.name for own in spec.inputs] == ["geology", "relief", "wide"]
    assert spec.condition_channels == 3 + 1 + 5


def test_command_of_a_set_names_no_folder_of_its_maker(maps: Path) -> None:
    info = _prepared(maps, _sources(maps, "geology", "relief"))
    options = "--input geology=DIR --input relief=DIR --target DIR --kind geology=labels --kind relief=gray"
    assert info.prepare == f"inkwash-train prepare pairs {options}"


def test_listing_pairs_by_path_in_folders_of_any_depth(tmp_path: Path) -> None:
    for name in ("drawings", "target"):
        for stem in ("a/1", "b/1"):
            path = tmp_path / name / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    listing = from_folders({"image": tmp_path / "drawings"}, tmp_path / "target")
    assert [pair.name for pair in listing.pairs] == ["a/1", "b/1"]
    assert listing.command == "--input DIR --target DIR"


def test_recipe_is_listed_with_what_it_needs() -> None:
    assert "--side-by-side" in pairs.NEEDS


def test_command_prepares_a_set_and_says_what_it_took_inputs_for(maps: Path) -> None:
    options = [f"--input=geology={maps / 'geology'}", f"--input=relief={maps / 'relief'}", f"--target={maps / 'target'}"]
    result = CliRunner().invoke(app, ["prepare", "pairs", *options, "--size=32", f"--out={maps / 'set'}"])
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert "Input 'geology': labels of 3 classes: #" in shown
    assert "Input 'relief': gray, values from 0.0% to 47.3% of their scale" in shown
    assert read_info(maps / "set").size == 32


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["pairs", "--source=x"], "takes no --source"),
        (["pairs", "--csv=x", "--direction=up"], "--direction is 'up'"),
        (["pairs", "--a=x"], "--a and --b belong to the recipe 'unpaired'"),
        (["photos", "--csv=x"], "belong to the recipe 'pairs', not to 'photos'"),
    ],
)
def test_options_of_other_recipes_are_refused(arguments: list[str], wrong: str) -> None:
    result = CliRunner().invoke(app, ["prepare", *arguments])
    assert isinstance(result.exception, ConfigError)
    assert wrong in str(result.exception)
