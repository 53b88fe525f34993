"""ONNX files of denoisers in the forms that exporters give them."""

from __future__ import annotations

import shutil
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

INPUTS = ["sample", "timestep", "encoder_hidden_states"]


class AsOptimum(nn.Module):
    """A UNet of diffusers as optimum exports it, with positional inputs and a bare output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        found: Tensor = self.network(sample, timestep, encoder_hidden_states, return_dict=False)[0]
        return found


def traced(network: nn.Module, path: Path, rows: int | None = None) -> Path:
    """By the tracer, as optimum does: the timestep (steps,), ``out_sample``, operator set 14.

    Args:
        rows: of a static graph; every axis is open where None.
    """
    outer = {0: "batch_size"}
    image = {**outer, 1: "num_channels", 2: "height", 3: "width"}
    tokens = {**outer, 1: "sequence_length"}
    names = {"sample": image, "timestep": {0: "steps"}, "encoder_hidden_states": tokens, "out_sample": image}
    args = (torch.randn(rows or 2, 4, 8, 8), torch.tensor([7]), torch.randn(rows or 2, 5, 12))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            AsOptimum(network).eval(),
            args,
            path,
            dynamo=False,
            opset_version=14,
            input_names=INPUTS,
            output_names=["out_sample"],
            dynamic_axes=names if rows is None else None,
        )
    return path


def exported(network: nn.Module, path: Path) -> Path:
    """By torch.export: an open batch, one float timestep per row."""
    args = (torch.randn(3, 4, 4, 4), torch.full((3,), 7.0), torch.randn(3, 5, 6))
    batch = {0: torch.export.Dim("batch")}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            network.eval(), args, dynamo=True, verbose=False, input_names=INPUTS, dynamic_shapes=(batch,) * 3
        )
    program.save(path)
    return path


def written(text: str, path: Path, **tensors: onnx.TensorProto) -> Path:
    """The graph that ``text`` describes, with these initializers."""
    header = '<ir_version: 8, opset_import: ["" : 18, "custom": 1]>\n'
    model = onnx.parser.parse_model(header + text)
    model.graph.initializer.extend(tensors.values())
    path.write_bytes(model.SerializeToString())
    return path


def in_hub_cache(folder: Path, cache: Path, repository: str = "models--owner--name") -> Path:
    """The files of ``folder`` as huggingface_hub keeps them, in blobs that a snapshot links to; the snapshot."""
    snapshot, blobs = cache / repository / "snapshots" / "0123abc", cache / repository / "blobs"
    blobs.mkdir(parents=True)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            link, blob = snapshot / path.relative_to(folder), blobs / sha256(path.read_bytes()).hexdigest()
            link.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, blob)
            link.symlink_to(Path(*[".."] * (len(link.relative_to(blobs.parent).parts) - 1), "blobs", blob.name))
    return snapshot
