"""Finds model folders and reads their manifests. A broken folder becomes a report and never stops the others.

It opens no graph and decodes no picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from server.errors import ConfigurationError, ModelError, UnknownModelError
from server.manifest import Manifest

MODEL_FILE = "model.onnx"
ENCODE_FILE = "encode.onnx"
MANIFEST_FILE = "manifest.json"
PREVIEW_FILE = "preview.png"
CARD_FILE = "README.md"


@dataclass(frozen=True)
class Entry:
    """One usable model: where it lies and what its manifest says."""

    folder: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def graph(self) -> Path:
        return self.folder / MODEL_FILE

    @property
    def encoder(self) -> Path | None:
        """The graph that encodes styles, for a model that takes them."""
        return self.folder / ENCODE_FILE if self.manifest.encode else None

    def file(self, relative: str) -> Path | None:
        """A file of the folder, or None when it is missing or lies outside by a link."""
        path = (self.folder / relative).resolve()
        return path if path.is_file() and path.is_relative_to(self.folder.resolve()) else None


@dataclass(frozen=True)
class Broken:
    """A folder that cannot be served, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Catalog:
    """The models of all folders by id, in the order they were found."""

    entries: Mapping[str, Entry]
    broken: tuple[Broken, ...] = ()
    shadowed: tuple[str, ...] = ()
    """Sentences about sound folders that are not served because a model found before them has their id."""

    def __getitem__(self, model_id: str) -> Entry:
        entry = self.entries.get(model_id)
        if entry is None:
            known = list(self.entries)
            listed = ", ".join(known) if known else "none"
            raise UnknownModelError(f"There is no model '{model_id[:64]}'; the models are: {listed}.", models=known)
        return entry

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)


def bundled_folder() -> Path:
    """The models that come with Inkwash: `models/` of a checkout, else the copy inside the installed package."""
    package = Path(__file__).parent
    installed = package / "_models"
    return installed if installed.is_dir() else package.parent / "models"


def read_catalog(roots: Sequence[Path], bundled: Path | None = None) -> Catalog:
    """Reads every folder below `roots`, then the bundled ones; the first model of an id is served.

    Raises:
        ConfigurationError: a folder in `roots` does not exist, or one cannot be read.
    """
    candidates = [folder for root in roots for folder in _candidates(root)]
    if bundled and bundled.is_dir():
        candidates += _candidates(bundled)
    entries: dict[str, Entry] = {}
    broken: list[Broken] = []
    shadowed: list[str] = []
    for folder in _distinct(candidates):
        try:
            entry = read_entry(folder)
        except ModelError as error:
            broken.append(Broken(folder.name, str(error)))
            continue
        if entry.id in entries:
            shadowed.append(f"'{folder}' has the id of '{entries[entry.id].folder}', which is served instead.")
            continue
        entries[entry.id] = entry
    return Catalog(entries, tuple(broken), tuple(shadowed))


def _candidates(root: Path) -> list[Path]:
    """A root may be a model folder itself or a folder of them; hidden ones and plain files are passed over."""
    try:
        if not root.is_dir():
            raise ConfigurationError(f"The models folder '{root}' does not exist; create it or correct INKWASH_MODELS_DIR.")
        if (root / MANIFEST_FILE).is_file():
            return [root]
        return [folder for folder in sorted(root.iterdir()) if not folder.name.startswith((".", "__")) and folder.is_dir()]
    except OSError as error:
        raise ConfigurationError(
            f"The models folder '{root}' cannot be read ({error.strerror}); "
            "give the user that runs Inkwash permission to read and to enter it."
        ) from None


def _distinct(folders: Iterable[Path]) -> Iterator[Path]:
    """Each folder once, by whatever names and links it was reached."""
    seen: set[Path] = set()
    for folder in folders:
        resolved = folder.resolve()
        if resolved not in seen:
            seen.add(resolved)
            yield folder


def read_entry(folder: Path) -> Entry:
    """Reads one model folder.

    Raises:
        ModelError: something is missing or the manifest breaks its rules.
    """
    try:
        text = (folder / MANIFEST_FILE).read_text(encoding="utf-8")
        manifest = Manifest.model_validate_json(text)
    except FileNotFoundError:
        raise ModelError(f"{MANIFEST_FILE} is missing; export the model again.") from None
    except ValidationError as error:
        raise ModelError(f"{MANIFEST_FILE} is not valid: {_describe(error)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{MANIFEST_FILE} cannot be read: {error}.") from None
    entry = Entry(folder, manifest)
    _check_graph(entry.graph)
    if entry.encoder:
        _check_graph(entry.encoder)
    return entry


def _check_graph(path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"{path.name} is missing; export the model again.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error}.") from None


def _describe(error: ValidationError) -> str:
    items = error.errors()
    shown = "; ".join(f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}" for item in items[:3])
    return shown + (f" (and {len(items) - 3} more)" if len(items) > 3 else "")
