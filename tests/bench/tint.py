"""A model folder that colours photos without having learned anything: what is measured with it is the service alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx

from server.manifest import Compose, ImageInput, InputKind, Manifest, Output, Size, Training

SIDE = 256
GRAPH = f"""<ir_version: 9, opset_import: ["": 17]>
tint (uint8[N,{SIDE},{SIDE},1] gray) => (uint8[N,{SIDE},{SIDE},3] image)
<float[3] shares = {{0.9, 0.6, 0.3}}> {{
  light = Cast <to = 1> (gray)
  tinted = Mul (light, shares)
  image = Cast <to = 2> (tinted)
}}"""


def write_tint(folder: Path) -> None:
    """Writes `model.onnx` and `manifest.json`."""
    folder.mkdir()
    content = onnx.parser.parse_model(GRAPH).SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    (folder / "manifest.json").write_text(_manifest(folder.name, content).model_dump_json(), encoding="utf-8")


def _manifest(model_id: str, content: bytes) -> Manifest:
    size = Size(height=SIDE, width=SIDE)
    unlearned = Training(
        recipe="none", source="none", source_license="none", images=0, seen_images=0, config={}, code_version="0"
    )
    return Manifest(
        id=model_id,
        title={"en": "Tint"},
        description={"en": "Colours any photo brown."},
        family="none",
        inputs=(ImageInput(name="gray", kind=InputKind.GRAY, channels=1, size=size, background=(0,)),),
        output=Output(size=size, compose=Compose.CHROMA),
        training=unlearned,
        license="Apache-2.0",
        sha256=hashlib.sha256(content).hexdigest(),
    )
