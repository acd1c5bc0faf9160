"""Makes small, real model folders for tests and for trying the page: graphs without training, but with the whole contract.

`python -m tests.server.models DIR` writes eight of them: `demo-lines` (line art and colour hints), `demo-labels` (a palette of
twelve classes), `demo-gray` (colours a photo by its luma), `demo-many` (colours it in as many ways as there are seeds, or in
those of a style), `demo-photo` (turns a photo's hues), `demo-inputs` (a geology map, a relief and optional moisture),
`demo-channels` (an array of five channels) and `demo-sketch` (makes lines of a photo). Their pictures follow what is drawn or
opened; nothing in them was learned.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from PIL import Image, ImageDraw

Array = npt.NDArray[Any]
Json = dict[str, Any]
Picture = Image.Image | Array
"""Of a sample: a picture, or an array of as many channels as its input has."""

FACADE_CLASSES = (
    ("Background", "背景", "#0000aa"),
    ("Wall", "壁", "#0000ff"),
    ("Window", "窓", "#0055ff"),
    ("Door", "ドア", "#00aaff"),
    ("Cornice", "軒", "#00ffff"),
    ("Sill", "窓台", "#55ffaa"),
    ("Balcony", "バルコニー", "#aaff55"),
    ("Blind", "ブラインド", "#ffff00"),
    ("Molding", "装飾", "#ffaa00"),
    ("Deco", "飾り", "#ff5500"),
    ("Pillar", "柱", "#ff0000"),
    ("Shop", "店", "#aa0000"),
)
"""English name, Japanese name and colour, in the order of their indices."""

_FACADE_MATERIALS = (
    (150, 190, 225), (196, 164, 132), (70, 90, 110), (110, 70, 45), (225, 215, 195), (205, 195, 180),
    (95, 95, 100), (235, 230, 215), (215, 200, 175), (185, 150, 115), (205, 195, 170), (60, 55, 65),
)  # fmt: skip


@dataclass(frozen=True)
class Encoder:
    """The text form of a graph from a picture to a latent, and the picture's part of the manifest."""

    text: str
    input: Json
    constants: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """An ONNX model in its text form and the part of the manifest that describes it."""

    text: str
    inputs: tuple[Json, ...]
    output: Json
    latent: Json | None = None
    parameters: tuple[Json, ...] = ()
    constants: Mapping[str, Array] = field(default_factory=dict)
    encoder: Encoder | None = None


def write_model(
    folder: Path,
    graph: Graph,
    *,
    pictures: Sequence[Mapping[str, Picture]] = (),
    title: Mapping[str, str] | None = None,
    change: Callable[[Json], None] | None = None,
) -> Path:
    """Writes a complete model folder whose samples and golden pair come from running the graph.

    Args:
        folder: Where to write; its name becomes the model's id.
        graph: What to serve.
        pictures: One set of drawings a sample; the first is the golden one as well.
        title: Titles by language; the id when absent.
        change: Spoils or adapts the manifest just before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = _serialized(graph)
    (folder / "model.onnx").write_bytes(content)
    manifest = _manifest(folder.name, graph, title or {"en": folder.name}, hashlib.sha256(content).hexdigest())
    if graph.encoder:
        manifest["encode"] = _write_encoder(folder, graph.encoder)
    if pictures:
        manifest["samples"] = _write_samples(folder, graph, content, pictures)
        first = manifest["samples"][0]
        manifest["golden"] = {"inputs": first["inputs"], "seed": first["seed"], "output": first["output"], "tolerance": 2.0}
        (folder / "preview.png").write_bytes((folder / first["output"]).read_bytes())
    if change:
        change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1), encoding="utf-8")
    (folder / "README.md").write_text(f"# {folder.name}\n\nA graph made for tests; it has learned nothing.\n", encoding="utf-8")
    return folder


def _serialized(graph: Graph | Encoder) -> bytes:
    model = onnx.parser.parse_model(graph.text)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in graph.constants.items())
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _write_encoder(folder: Path, encoder: Encoder) -> Json:
    content = _serialized(encoder)
    (folder / "encode.onnx").write_bytes(content)
    return {"input": encoder.input, "sha256": hashlib.sha256(content).hexdigest()}


def _manifest(model_id: str, graph: Graph, title: Mapping[str, str], sha256: str) -> Json:
    return {
        "format_version": 1,
        "id": model_id,
        "title": dict(title),
        "description": {"en": "A graph made for tests; it has learned nothing.", "ja": "試験用で、学習はしていません。"},
        "family": "none",
        "inputs": list(graph.inputs),
        "output": graph.output,
        "latent": graph.latent,
        "parameters": list(graph.parameters),
        "training": {
            "recipe": "none", "source": "Computed pictures, https://example.org/pictures", "source_license": "CC0-1.0",
            "images": 0, "seen_images": 0,
            "config": {}, "code_version": "0",
        },
        "license": "Apache-2.0",
        "sha256": sha256,
    }  # fmt: skip


def _write_samples(folder: Path, graph: Graph, content: bytes, pictures: Sequence[Mapping[str, Picture]]) -> list[Json]:
    (folder / "samples").mkdir(exist_ok=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    samples = []
    for number, drawing in enumerate(pictures):
        feeds = _feeds(graph, drawing, seed=number)
        output = session.run(None, feeds)[0][0]
        paths = {}
        for name, picture in drawing.items():
            paths[name] = f"samples/{number}-{name}{'.png' if isinstance(picture, Image.Image) else '.npy'}"
            _save(picture, folder / paths[name])
        Image.fromarray(output.squeeze()).save(folder / f"samples/{number}.png")
        title = {"en": f"Sample {number + 1}", "ja": f"見本 {number + 1}"}
        samples.append({"title": title, "inputs": paths, "output": f"samples/{number}.png", "seed": number})
    return samples


def _save(picture: Picture, path: Path) -> None:
    if isinstance(picture, Image.Image):
        picture.save(path)
    else:
        np.save(path, picture)


def _feeds(graph: Graph, drawing: Mapping[str, Picture], seed: int) -> dict[str, Array]:
    feeds: dict[str, Array] = {}
    for spec in graph.inputs:
        picture = drawing.get(spec["name"])
        feeds[spec["name"]] = _blank(spec) if picture is None else _array(spec, picture)
    if graph.latent:
        shape = (1, *graph.latent["shape"])
        generator = np.random.default_rng(seed)
        normal = graph.latent["distribution"] == "normal"
        drawn = generator.standard_normal(shape, np.float32) if normal else generator.integers(0, 2, shape)
        feeds[graph.latent["name"]] = drawn.astype(np.float32)
    for parameter in graph.parameters:
        feeds[parameter["name"]] = np.full((1, 1), parameter["default"], np.float32)
    return feeds


def _blank(spec: Json) -> Array:
    height, width = (spec["size"].get(side, spec["size"].get("min")) for side in ("height", "width"))
    return np.broadcast_to(np.array(spec["background"], np.uint8), (1, height, width, spec["channels"])).copy()


def _array(spec: Json, picture: Picture) -> Array:
    if not isinstance(picture, Image.Image):
        return picture[None]
    if spec["kind"] != "labels":
        return np.asarray(picture).reshape(1, picture.height, picture.width, spec["channels"])
    colors = np.array([hex_rgb(entry["color"]) for entry in spec["palette"]])
    distances = np.abs(np.asarray(picture.convert("RGB"))[:, :, None, :].astype(int) - colors).sum(-1)
    return distances.argmin(-1).astype(np.uint8)[None, :, :, None]


def hex_rgb(color: str) -> tuple[int, int, int]:
    """`#rrggbb` as three numbers."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def line_input(name: str = "lines", size: int = 256, ink: str = "dark", width: float = 2.0) -> Json:
    """Manifest entry of a line drawing."""
    paper = 255 if ink == "dark" else 0
    return {
        "name": name, "kind": "line", "channels": 1, "size": {"height": size, "width": size},
        "background": [paper], "ink": ink, "line_width_px": width,
    }  # fmt: skip


def photo_input(name: str = "photo", size: int | Json = 256, kind: str = "photo", channels: int = 3) -> Json:
    """Manifest entry of a photo (RGB or of any `channels`) or, with `kind="gray"`, of a gray one; `size` may be flexible."""
    channels = channels if kind == "photo" else 1
    extent = {"height": size, "width": size} if isinstance(size, int) else size
    return {"name": name, "kind": kind, "channels": channels, "size": extent, "background": [255] * channels}


def identity_graph(size: int = 16, ink: str = "dark") -> Graph:
    """Gives the lines back as they came."""
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    identity (uint8[N,{size},{size},1] lines) => (uint8[N,{size},{size},1] image) {{ image = Identity (lines) }}"""
    return Graph(text, (line_input(size=size, ink=ink),), {"size": {"height": size, "width": size}, "channels": 1})


def photo_graph(size: int = 16) -> Graph:
    """Gives a photo back as it came."""
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    identity (uint8[N,{size},{size},3] photo) => (uint8[N,{size},{size},3] image) {{ image = Identity (photo) }}"""
    return Graph(text, (photo_input(size=size),), {"size": {"height": size, "width": size}})


def flexible_graph(multiple_of: int = 8, smallest: int = 16, largest: int = 64) -> Graph:
    """Gives a photo of any allowed size back as it came."""
    text = """<ir_version: 9, opset_import: ["": 17]>
    identity (uint8[N,H,W,3] photo) => (uint8[N,H,W,3] image) { image = Identity (photo) }"""
    size = {"multiple_of": multiple_of, "min": smallest, "max": largest}
    return Graph(text, (photo_input(size=size),), {"size": size})


def chroma_graph(size: int = 16) -> Graph:
    """Paints a gray photo: red on the left half and blue on the right, at half its lightness; only the colour is meant."""
    tint = np.zeros((1, size, size, 3), np.float32)
    tint[:, :, : size // 2] = (1.0, 0.3, 0.3)
    tint[:, :, size // 2 :] = (0.3, 0.3, 1.0)
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    paint (uint8[N,{size},{size},1] gray) => (uint8[N,{size},{size},3] image) {{
      light = Cast <to = 1> (gray)
      painted = Mul (light, tint)
      image = Cast <to = 2> (painted)
    }}"""
    output = {"size": {"height": size, "width": size}, "compose": "chroma"}
    return Graph(text, (photo_input("gray", size, "gray"),), output, constants={"tint": tint})


def noise_graph(size: int = 16) -> Graph:
    """Shades the paper by the latent and a parameter, so that seeds and sliders show in the picture."""
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    noise (uint8[N,{size},{size},1] lines, float[N,{size},{size},1] latent, float[N,1] strength)
      => (uint8[N,{size},{size},1] image) {{
      paper = Cast <to = 1> (lines)
      amount = Reshape (strength, per_image)
      shade = Mul (latent, amount)
      rest = Sub (one, shade)
      shaded = Mul (paper, rest)
      image = Cast <to = 2> (shaded)
    }}"""
    return Graph(
        text,
        (line_input(size=size),),
        {"size": {"height": size, "width": size}, "channels": 1},
        latent={"name": "latent", "shape": [size, size, 1], "distribution": "bernoulli"},
        parameters=(parameter("strength", 0.0, 1.0, 0.5),),
        constants={"per_image": np.array([-1, 1, 1, 1], np.int64), "one": np.ones(1, np.float32)},
    )


def parameter(
    name: str,
    low: float,
    high: float,
    default: float,
    kind: str = "float",
    step: float = 0.01,
    title: tuple[str, str] | None = None,
) -> Json:
    """Manifest entry of a slider; `title` in English and Japanese."""
    text = dict(zip(("en", "ja"), title or (name.capitalize(), name), strict=True))
    return {
        "name": name, "kind": kind, "min": low, "max": high, "step": step, "default": default, "title": text, "help": text,
    }  # fmt: skip


def labels_graph(size: int = 256, classes: Sequence[tuple[str, str, str]] = FACADE_CLASSES) -> Graph:
    """Lays a material on each class, with a grain from the latent and a shade along edges between classes."""
    count = len(classes)
    materials = np.array(_FACADE_MATERIALS[:count], np.float32)
    grid = max(1, size // 4)
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    materials (uint8[N,{size},{size},1] labels, float[N,1,{grid},{grid}] latent) => (uint8[N,{size},{size},3] image) {{
      squeezed = Squeeze (labels, last)
      index = Cast <to = 7> (squeezed)
      picture = Gather <axis = 0> (materials, index)
      planes = Transpose <perm = [0, 3, 1, 2]> (picture)
      wide = AveragePool <kernel_shape = [9, 9], pads = [4, 4, 4, 4], count_include_pad = 0> (planes)
      contrast = Sub (planes, wide)
      shade = Mul (contrast, third)
      raised = Add (planes, shade)
      grain = Resize <mode = "linear"> (latent, none, scales)
      centred = Sub (grain, half)
      speckle = Mul (centred, strength)
      rough = Add (raised, speckle)
      rounded = Clip (rough, low, high)
      rows = Transpose <perm = [0, 2, 3, 1]> (rounded)
      image = Cast <to = 2> (rows)
    }}"""
    palette = [{"index": i, "name": {"en": en, "ja": ja}, "color": color} for i, (en, ja, color) in enumerate(classes)]
    extent = {"height": size, "width": size}
    spec = {"name": "labels", "kind": "labels", "channels": 1, "size": extent, "background": [0], "palette": palette}
    return Graph(
        text,
        (spec,),
        {"size": extent},
        latent={"name": "latent", "shape": [1, grid, grid], "distribution": "bernoulli"},
        constants={
            "materials": materials,
            "last": np.array([3], np.int64),
            "third": np.full(1, 0.35, np.float32),
            "half": np.full(1, 0.5, np.float32),
            "strength": np.full(1, 24.0, np.float32),
            "low": np.array(0, np.float32),
            "high": np.array(255, np.float32),
            "none": np.zeros(0, np.float32),
            "scales": np.array([1, 1, size / grid, size / grid], np.float32),
        },
    )


def lines_graph(size: int = 256) -> Graph:
    """Washes paper with a tint from the latent, lets hinted colours bleed around their dabs, and keeps the lines on top."""
    step = max(1, size // 32)
    shrink = f"<kernel_shape = [{step}, {step}], strides = [{step}, {step}]>"
    blur = "<kernel_shape = [9, 9], pads = [4, 4, 4, 4], count_include_pad = 0>"
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    wash (uint8[N,{size},{size},1] lines, uint8[N,{size},{size},4] hints, float[N,3,8,8] latent)
      => (uint8[N,{size},{size},3] image) {{
      line_rows = Cast <to = 1> (lines)
      line_planes = Transpose <perm = [0, 3, 1, 2]> (line_rows)
      ink = Div (line_planes, white)
      hint_rows = Cast <to = 1> (hints)
      hint_planes = Transpose <perm = [0, 3, 1, 2]> (hint_rows)
      colors, alpha = Split <axis = 1> (hint_planes, three_one)
      laid = Mul (colors, alpha)
      few_colors = AveragePool {shrink} (laid)
      few_alphas = AveragePool {shrink} (alpha)
      blurred_colors = AveragePool {blur} (few_colors)
      blurred_alphas = AveragePool {blur} (few_alphas)
      color_sum = Resize <mode = "linear"> (blurred_colors, none, back)
      alpha_sum = Resize <mode = "linear"> (blurred_alphas, none, back)
      safe = Add (alpha_sum, epsilon)
      bled = Div (color_sum, safe)
      scaled = Mul (alpha_sum, gain)
      share = Clip (scaled, zero, one)
      tints = Resize <mode = "cubic"> (latent, none, scales)
      range = Mul (tints, spread)
      paper = Add (range, light)
      difference = Sub (bled, paper)
      added = Mul (difference, share)
      washed = Add (paper, added)
      inked = Mul (washed, ink)
      bounded = Clip (inked, zero, high)
      rows = Transpose <perm = [0, 2, 3, 1]> (bounded)
      image = Cast <to = 2> (rows)
    }}"""
    extent = {"height": size, "width": size}
    hints = {
        "name": "hints", "kind": "hints", "channels": 4, "size": extent, "background": [0, 0, 0, 0], "optional": True,
    }  # fmt: skip
    return Graph(
        text,
        (line_input(size=size), hints),
        {"size": extent},
        latent={"name": "latent", "shape": [3, 8, 8], "distribution": "bernoulli"},
        constants={
            "white": np.full(1, 255, np.float32),
            "three_one": np.array([3, 1], np.int64),
            "epsilon": np.full(1, 1e-3, np.float32),
            "gain": np.full(1, 0.1, np.float32),
            "zero": np.array(0, np.float32),
            "one": np.array(1, np.float32),
            "high": np.array(255, np.float32),
            "none": np.zeros(0, np.float32),
            "scales": np.array([1, 1, size / 8, size / 8], np.float32),
            "back": np.array([1, 1, step, step], np.float32),
            "spread": np.full(1, 60, np.float32),
            "light": np.full(1, 190, np.float32),
        },
    )


def coloring_graph(size: int = 256) -> Graph:
    """Colours a gray photo by its luma alone, from blue shadows over warm middles to cream lights; only the colour is meant."""
    steps = np.linspace(0, 255, len(_TONES))
    colors = [np.interp(np.arange(256), steps, channel) for channel in np.array(_TONES).T]
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    color (uint8[N,{size},{size},1] gray) => (uint8[N,{size},{size},3] image) {{
      squeezed = Squeeze (gray, last)
      luma = Cast <to = 7> (squeezed)
      image = Gather <axis = 0> (tones, luma)
    }}"""
    return Graph(
        text,
        (photo_input("gray", size, "gray"),),
        {"size": {"height": size, "width": size}, "compose": "chroma"},
        constants={"last": np.array([3], np.int64), "tones": np.stack(colors, axis=1).round().astype(np.uint8)},
    )


_TONES = ((12, 18, 52), (44, 62, 128), (150, 84, 70), (226, 158, 84), (255, 246, 224))


def many_graph(size: int = 256) -> Graph:
    """Colours a gray photo as its latent says: Cb and Cr of each quarter, in steps of 40, times `temperature`.

    Its encoder gives the latent of a picture: the mean Cb and Cr of each quarter. Only the colour is meant.
    """
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    color (uint8[N,{size},{size},1] gray, float[N,2,2,2] latent, float[N,1] temperature)
      => (uint8[N,{size},{size},3] image) {{
      light = Cast <to = 1> (gray)
      amount = Reshape (temperature, per_image)
      scaled = Mul (latent, amount)
      planes = Resize <mode = "linear"> (scaled, none, scales)
      chroma = Transpose <perm = [0, 2, 3, 1]> (planes)
      colors = MatMul (chroma, to_rgb)
      painted = Add (light, colors)
      rounded = Round (painted)
      bounded = Clip (rounded, low, high)
      image = Cast <to = 2> (bounded)
    }}"""
    latent = {"name": "latent", "shape": [2, 2, 2], "distribution": "normal"}
    return Graph(
        text,
        (photo_input("gray", size, "gray"),),
        {"size": {"height": size, "width": size}, "compose": "chroma"},
        latent=latent,
        parameters=(parameter("temperature", 0.0, 1.2, 1.0, title=("Temperature", "多様さ")),),
        constants={
            "per_image": np.array([-1, 1, 1, 1], np.int64),
            "none": np.zeros(0, np.float32),
            "scales": np.array([1, 1, size / 2, size / 2], np.float32),
            "to_rgb": np.array([[0, -0.344136, 1.772], [1.402, -0.714136, 0]], np.float32) * _CHROMA_STEP,
            "low": np.array(0, np.float32),
            "high": np.array(255, np.float32),
        },
        encoder=quarters_encoder(size),
    )


_CHROMA_STEP = 40.0


def quarters_encoder(size: int = 256) -> Encoder:
    """Mean Cb and Cr of each quarter of a picture, in steps of 40: `(N, 2, 2, 2)`."""
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    encode (uint8[N,{size},{size},3] style) => (float[N,2,2,2] latent) {{
      colors = Cast <to = 1> (style)
      chroma = MatMul (colors, from_rgb)
      planes = Transpose <perm = [0, 3, 1, 2]> (chroma)
      latent = AveragePool <kernel_shape = [{size // 2}, {size // 2}], strides = [{size // 2}, {size // 2}]> (planes)
    }}"""
    from_rgb = np.array([[-0.168736, 0.5], [-0.331264, -0.418688], [0.5, -0.081312]], np.float32) / np.float32(_CHROMA_STEP)
    return Encoder(text, photo_input("style", size), constants={"from_rgb": from_rgb})


def hue_graph(size: int = 256) -> Graph:
    """Turns a photo's hues by a third of the circle, as far as its parameter says."""
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    turn (uint8[N,{size},{size},3] photo, float[N,1] strength) => (uint8[N,{size},{size},3] image) {{
      colors = Cast <to = 1> (photo)
      turned = Gather <axis = 3> (colors, order)
      amount = Reshape (strength, per_image)
      difference = Sub (turned, colors)
      change = Mul (difference, amount)
      changed = Add (colors, change)
      rounded = Round (changed)
      image = Cast <to = 2> (rounded)
    }}"""
    return Graph(
        text,
        (photo_input(size=size),),
        {"size": {"height": size, "width": size}},
        parameters=(parameter("strength", 0.0, 1.0, 1.0),),
        constants={"order": np.array([2, 0, 1], np.int64), "per_image": np.array([-1, 1, 1, 1], np.int64)},
    )


def sketch_graph(ink: str = "dark", size: Json | None = None) -> Graph:
    """Draws lines where a photo of any size changes most: more by `detail`, as wide as `line_width` says (1, 3, 5 or 7)."""
    paper, line = (255.0, 0.0) if ink == "dark" else (0.0, 255.0)
    pools = "\n".join(
        f"wide{width} = MaxPool <kernel_shape = [{width}, {width}], pads = [{', '.join([str(width // 2)] * 4)}]> (thin)"
        for width in (3, 5, 7)
    )
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    sketch (uint8[N,H,W,3] photo, float[N,1] detail, float[N,1] line_width) => (uint8[N,H,W,1] image) {{
      colors = Cast <to = 1> (photo)
      gray = ReduceMean <axes = [3], keepdims = 1> (colors)
      plane = Transpose <perm = [0, 3, 1, 2]> (gray)
      bordered = Pad <mode = "edge"> (plane, around)
      slopes = Conv (bordered, derivatives)
      steep = Abs (slopes)
      across, down = Split <axis = 1> (steep)
      steepest = Max (across, down)
      is_across = Greater (across, down)
      left_right = MaxPool <kernel_shape = [1, 3], pads = [0, 1, 0, 1]> (steepest)
      up_down = MaxPool <kernel_shape = [3, 1], pads = [1, 0, 1, 0]> (steepest)
      largest = Where (is_across, left_right, up_down)
      is_ridge = GreaterOrEqual (steepest, largest)
      each_detail = Reshape (detail, per_image)
      less = Mul (each_detail, range)
      least = Sub (most, less)
      is_edge = Greater (steepest, least)
      is_thin = And (is_ridge, is_edge)
      thin = Cast <to = 1> (is_thin)
      {pools}
      width = Reshape (line_width, per_image)
      over2 = Greater (width, two)
      over4 = Greater (width, four)
      over6 = Greater (width, six)
      upto3 = Where (over2, wide3, thin)
      upto5 = Where (over4, wide5, upto3)
      upto7 = Where (over6, wide7, upto5)
      shade = Mul (upto7, contrast)
      inked = Add (shade, paper)
      rows = Transpose <perm = [0, 2, 3, 1]> (inked)
      image = Cast <to = 2> (rows)
    }}"""
    extent = size or {"multiple_of": 16, "min": 64, "max": 1024}
    places = np.arange(-4, 5, dtype=np.float32)
    bell = np.exp(-(places**2) / (2 * 1.5**2))
    slope = np.outer(bell, places * bell) / np.abs(np.outer(bell, places * bell)).sum()
    return Graph(
        text,
        (photo_input(size=extent),),
        {"size": extent, "channels": 1, "line": {"ink": ink, "width_parameter": "line_width"}},
        parameters=(
            parameter("detail", 0.0, 1.0, 0.5, title=("Detail", "細かさ")),
            parameter("line_width", 1.0, 8.0, 3.0, step=0.5, title=("Line width", "線の太さ")),
        ),
        constants={
            "around": np.array([0, 0, 4, 4, 0, 0, 4, 4], np.int64),
            "derivatives": np.stack([slope, slope.T])[:, None].astype(np.float32),
            "per_image": np.array([-1, 1, 1, 1], np.int64),
            "most": np.full(1, 24, np.float32),
            "range": np.full(1, 22, np.float32),
            "two": np.full(1, 2, np.float32),
            "four": np.full(1, 4, np.float32),
            "six": np.full(1, 6, np.float32),
            "contrast": np.full(1, line - paper, np.float32),
            "paper": np.full(1, paper, np.float32),
        },
    )


ROCKS = (
    ("Water", "水域", "#2f6fb2"),
    ("Sand", "砂", "#e3cf9a"),
    ("Limestone", "石灰岩", "#b9b7a8"),
    ("Granite", "花崗岩", "#b0746a"),
    ("Basalt", "玄武岩", "#4a4750"),
)
"""English name, Japanese name and colour of what a geology map shows."""


def terrain_graph(size: int = 256) -> Graph:
    """Shades a geology map by a relief, and lays green and blue over it where an optional array says plants and water."""
    colors = np.array([hex_rgb(color) for _, _, color in ROCKS], np.float32)
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    shade (uint8[N,{size},{size},1] geology, uint8[N,{size},{size},1] relief, uint8[N,{size},{size},2] moisture)
      => (uint8[N,{size},{size},3] image) {{
      squeezed = Squeeze (geology, last)
      index = Cast <to = 7> (squeezed)
      ground = Gather <axis = 0> (colors, index)
      heights = Cast <to = 1> (relief)
      light = Div (heights, white)
      shaded = Mul (ground, light)
      wet = Cast <to = 1> (moisture)
      share = Div (wet, white)
      tint = MatMul (share, overlays)
      sum = Add (shaded, tint)
      bounded = Clip (sum, zero, high)
      image = Cast <to = 2> (bounded)
    }}"""
    palette = [{"index": i, "name": {"en": en, "ja": ja}, "color": color} for i, (en, ja, color) in enumerate(ROCKS)]
    extent = {"height": size, "width": size}
    geology = {"name": "geology", "kind": "labels", "channels": 1, "size": extent, "background": [0], "palette": palette}
    moisture = {**photo_input("moisture", size, channels=2), "background": [0, 0], "optional": True}
    return Graph(
        text,
        (geology, photo_input("relief", size, "gray"), moisture),
        {"size": extent},
        constants={
            "colors": colors,
            "last": np.array([3], np.int64),
            "white": np.full(1, 255, np.float32),
            "overlays": np.array([[0, 90, 0], [0, 0, 120]], np.float32),
            "zero": np.array(0, np.float32),
            "high": np.array(255, np.float32),
        },
    )


def channels_graph(size: int = 256, channels: int = 5) -> Graph:
    """Shows the last, the third and the first channel of an array as red, green and blue."""
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    choose (uint8[N,{size},{size},{channels}] bands) => (uint8[N,{size},{size},3] image) {{
      image = Gather <axis = 3> (bands, order)
    }}"""
    return Graph(
        text,
        (photo_input("bands", size, channels=channels),),
        {"size": {"height": size, "width": size}},
        constants={"order": np.array([channels - 1, 2, 0], np.int64)},
    )


def geology_map(size: int = 256) -> Image.Image:
    """Layers of rock around a lake, in the palette's colours."""
    across, down = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    distance = np.hypot(across * 1.1 + 0.2, down) + 0.12 * np.sin(3 * np.arctan2(down, across))
    index = np.digitize(distance, (0.28, 0.38, 0.7, 1.0))
    return Image.fromarray(np.array([hex_rgb(color) for _, _, color in ROCKS], np.uint8)[index])


def relief(size: int = 256) -> Image.Image:
    """Hills as a gray picture, light where they are high."""
    across, down = np.meshgrid(np.linspace(0, 4, size), np.linspace(0, 4, size))
    height = np.sin(across * 2.1 + np.sin(down)) * np.cos(down * 1.7) + 0.4 * np.sin(across * 5 + down * 3)
    return Image.fromarray((150 + 70 * height).clip(0, 255).astype(np.uint8))


def moisture(size: int = 256) -> Array:
    """Plants and water: `(size, size, 2)`, uint8."""
    across, down = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size))
    return np.stack([255 * across, 255 * down], axis=2).astype(np.uint8)


def bands(width: int = 256, height: int = 256, channels: int = 5) -> Array:
    """An array of waves and slopes: `(height, width, channels)`, uint8."""
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    planes = [np.sin((k + 2) * (across + 0.3 * k * down)) ** 2 * (1 - 0.5 * down) for k in range(channels)]
    return (255 * np.stack(planes, axis=2)).astype(np.uint8)


def landscape(width: int = 256, height: int = 256, night: bool = False) -> Image.Image:
    """A computed photo in colours: sky, sun or moon, hills and water."""
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    shine = np.exp(-((across - 0.68) ** 2 * 9 + (down - 0.3) ** 2 * 14))[:, :, None]
    top, low = ((12, 18, 48), (70, 80, 120)) if night else ((70, 130, 200), (240, 205, 170))
    picture = np.array(top) + (np.array(low) - top) * np.clip(down / 0.62, 0, 1)[:, :, None] + shine * 70
    picture[(across - 0.68) ** 2 + (down * height / width - 0.3 * height / width) ** 2 < 0.0035] = (250, 244, 220)
    ridges = ((0.5, 0.09, 2.3, 0.4), (0.6, 0.07, 3.7, 2.1), (0.7, 0.05, 5.1, 1.0))
    for depth, (base, height_share, waves, phase) in enumerate(ridges):
        hill = down > base + height_share * np.sin(across * waves * np.pi + phase)
        shade = np.array((60, 92, 76)) * (0.45 if night else 1.25 - 0.3 * depth)
        picture[hill] = (shade + 14 * np.sin(across * 90 + down * 60 * (depth + 1))[:, :, None])[hill]
    water = down > 0.82
    ripple = 0.75 + 0.12 * np.sin(down * 420 + np.sin(across * 21) * 3)
    picture[water] = (np.array(low) * ripple[:, :, None] * 0.8)[water]
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def cat_drawing(size: int = 256, width: int = 2) -> Image.Image:
    """A cat's face in dark lines on light paper."""
    picture = Image.new("L", (size, size), 255)
    draw = ImageDraw.Draw(picture)
    at = lambda *points: [tuple(coordinate * size / 100 for coordinate in point) for point in points]  # noqa: E731
    draw.ellipse(at((20, 28), (80, 85)), outline=0, width=width)
    draw.line(at((26, 40), (24, 10), (44, 29)), fill=0, width=width)
    draw.line(at((74, 40), (76, 10), (56, 29)), fill=0, width=width)
    for left in (35, 57):
        draw.ellipse(at((left, 46), (left + 8, 56)), outline=0, width=width)
    draw.polygon(at((46, 63), (54, 63), (50, 68)), outline=0)
    draw.line(at((50, 68), (50, 73), (43, 77)), fill=0, width=width)
    draw.line(at((50, 73), (57, 77)), fill=0, width=width)
    for height in (62, 67):
        draw.line(at((10, height - 2), (36, height)), fill=0, width=width)
        draw.line(at((90, height - 2), (64, height)), fill=0, width=width)
    return picture


def hint_dabs(size: int = 256) -> Image.Image:
    """Two dabs of colour on a clear layer."""
    picture = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((size * 0.4, size * 0.3, size * 0.6, size * 0.45), fill=(240, 150, 40, 255))
    draw.ellipse((size * 0.35, size * 0.7, size * 0.45, size * 0.8), fill=(230, 60, 110, 255))
    return picture


def facade_drawing(size: int = 256, floors: int = 3) -> Image.Image:
    """A house front in the palette's colours."""
    colors = {name: hex_rgb(color) for name, _, color in FACADE_CLASSES}
    picture = Image.new("RGB", (size, size), colors["Background"])
    draw = ImageDraw.Draw(picture)
    box = lambda left, top, right, bottom: tuple(round(edge * size / 100) for edge in (left, top, right, bottom))  # noqa: E731
    draw.rectangle(box(10, 12, 90, 100), fill=colors["Wall"])
    draw.rectangle(box(8, 10, 92, 15), fill=colors["Cornice"])
    step = 62 / floors
    for floor in range(floors):
        top = 20 + floor * step
        for left in (18, 43, 68):
            draw.rectangle(box(left, top, left + 14, top + step * 0.6), fill=colors["Window"])
            draw.rectangle(box(left - 1, top + step * 0.6, left + 15, top + step * 0.68), fill=colors["Sill"])
    draw.rectangle(box(41, 82, 59, 100), fill=colors["Door"])
    draw.rectangle(box(66, 84, 86, 100), fill=colors["Shop"])
    return picture


def write_demo_lines(root: Path, size: int = 256) -> Path:
    """A `line` model with optional colour hints."""
    plain = {"lines": cat_drawing(size)}
    hinted = {"lines": cat_drawing(size), "hints": hint_dabs(size)}
    title = {"en": "Demo lines", "ja": "線画の見本"}
    return write_model(root / "demo-lines", lines_graph(size), pictures=(hinted, plain), title=title)


def write_demo_labels(root: Path, size: int = 256) -> Path:
    """A `labels` model with twelve classes."""
    pictures = ({"labels": facade_drawing(size)}, {"labels": facade_drawing(size, floors=4)})
    title = {"en": "Demo labels", "ja": "塗り分けの見本"}
    return write_model(root / "demo-labels", labels_graph(size), pictures=pictures, title=title)


def write_demo_gray(root: Path, size: int = 256) -> Path:
    """A `gray` model that colours photos at their own resolution."""
    pictures = tuple({"gray": landscape(size, size, night).convert("L")} for night in (False, True))
    title = {"en": "Demo colouring", "ja": "着色の見本"}
    return write_model(root / "demo-gray", coloring_graph(size), pictures=pictures, title=title)


def write_demo_many(root: Path, size: int = 256) -> Path:
    """A `gray` model with a normal latent, a temperature and an encoder: many colourings of one photo."""
    pictures = tuple({"gray": landscape(size, size, night).convert("L")} for night in (False, True))
    title = {"en": "Demo colourings", "ja": "いろいろな着色の見本"}
    return write_model(root / "demo-many", many_graph(size), pictures=pictures, title=title)


def write_demo_photo(root: Path, size: int = 256) -> Path:
    """A `photo` model with a parameter."""
    pictures = tuple({"photo": landscape(size, size, night)} for night in (False, True))
    title = {"en": "Demo hues", "ja": "色相の見本"}
    return write_model(root / "demo-photo", hue_graph(size), pictures=pictures, title=title)


def write_demo_inputs(root: Path, size: int = 256) -> Path:
    """A model of three inputs: labels on the sheet, a gray picture that it needs, and an array that it can do without."""
    plain = {"geology": geology_map(size), "relief": relief(size)}
    title = {"en": "Demo terrain", "ja": "地形の見本"}
    return write_model(
        root / "demo-inputs", terrain_graph(size), pictures=(plain, {**plain, "moisture": moisture(size)}), title=title
    )


def write_demo_channels(root: Path, size: int = 256) -> Path:
    """A model whose only input is an array of five channels."""
    title = {"en": "Demo bands", "ja": "多チャンネルの見本"}
    return write_model(root / "demo-channels", channels_graph(size), pictures=({"bands": bands(size, size)},), title=title)


def write_demo_sketch(root: Path) -> Path:
    """A tracer: a `photo` model whose pictures are lines."""
    title = {"en": "Demo sketch", "ja": "線の抽出の見本"}
    pictures = tuple({"photo": landscape(256, 256, night)} for night in (False, True))
    return write_model(root / "demo-sketch", sketch_graph(), pictures=pictures, title=title)


WRITERS = (
    write_demo_lines, write_demo_labels, write_demo_gray, write_demo_many, write_demo_photo, write_demo_inputs,
    write_demo_channels, write_demo_sketch,
)  # fmt: skip
"""Everything that `main` writes."""


def main(arguments: Sequence[str]) -> int:
    """Writes the demo folders into the folder named on the command line."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tests.server.models DIR\n")
        return 2
    for write in WRITERS:
        sys.stdout.write(f"{write(Path(arguments[0]))}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
