"""The second graph of a model, from a picture to its latent: written, and compared with PyTorch.

It writes no manifest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from training.datasets import ImagesU8, PairedDataset
from training.families.protocol import Exportable
from training.onnx_graph import STYLE_NAME, TRACE_BATCH, ExportError, rounded_to_half, write_encoder

MAX_STEPS = 1
"""As far as pictures made of both latents may differ, in steps of uint8."""


def write_style_graph(exportable: Exportable, held_out: PairedDataset, path: Path) -> None:
    """Writes the encoder of `exportable` to `path`, if pictures of its latents agree with those of PyTorch's.

    Args:
        exportable: Of a model with an encoder; weights of its module already rounded to float16.
        held_out: Pairs whose targets are RGB.

    Raises:
        ExportError: The graph cannot be exported or does not agree.
    """
    assert exportable.encoder is not None
    encoder = rounded_to_half(exportable.encoder)
    styles = held_out.target[np.arange(TRACE_BATCH) % len(held_out)]
    write_encoder(encoder, torch.from_numpy(np.array(styles)), path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch in (1, TRACE_BATCH):
        chosen = np.array(styles[:batch])
        with torch.no_grad():
            ours = encoder(torch.from_numpy(chosen))
        theirs = torch.from_numpy(session.run(None, {STYLE_NAME: chosen})[0])
        pictures = [_pictures(exportable, held_out, latent).astype(np.int16) for latent in (ours, theirs)]
        steps = int(np.abs(pictures[0] - pictures[1]).max())
        if steps > MAX_STEPS:
            raise ExportError(
                f"Pictures of the encoder's latents differ by up to {steps} steps of uint8 between onnxruntime and PyTorch; at "
                f"most {MAX_STEPS} is allowed. Nothing was written."
            )


@torch.no_grad()
def _pictures(exportable: Exportable, held_out: PairedDataset, latent: torch.Tensor) -> ImagesU8:
    """Each latent under its own photo, at the defaults of the parameters."""
    inputs = held_out.inputs(np.arange(len(latent)) % len(held_out))
    images = [torch.from_numpy(np.array(inputs[name])) for name in exportable.image_names]
    numbers = [torch.full((len(latent), 1), parameter.default) for parameter in exportable.parameters]
    made: ImagesU8 = exportable.module(*images, latent, *numbers).numpy()
    return made
