"""What one does without the compiler: ``torch.onnx.export`` of the whole loop, or of the network alone."""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.models import Case
from samplegraph.export.graph.builder import OPSET
from samplegraph.export.signature import signature
from samplegraph.models import Sampler
from samplegraph.models.stepped import first_tensor


def trace_loop(sampler: Sampler, case: Case, file: Path, *, optimise: bool) -> None:
    """Trace the eager sampler, all steps of it, and save the graph."""
    sig = signature(sampler, (1, *case.shape), case.examples(), None)
    examples = [
        torch.from_numpy(np.array(case.conditions[t.name]))
        if t.name in case.conditions
        else torch.ones([int(n) for n in t.shape], dtype=getattr(torch, t.dtype))
        for t in sig.inputs
    ]
    _export(_Loop(sampler, sig.names), examples, sig.names, "sample", optimise).save(file)


def export_network(sampler: Sampler, case: Case) -> bytes:
    """The network for the two rows of guidance, exported with torch's defaults."""
    stream = io.BytesIO()
    _network_program(sampler, case).save(stream)
    return stream.getvalue()


def save_network(sampler: Sampler, case: Case, file: Path) -> None:
    """The same as a file with its weights beside it."""
    _network_program(sampler, case).save(file, external_data=True)


def _network_program(sampler: Sampler, case: Case) -> Any:
    conditions = case.examples()
    rows = [torch.from_numpy(np.concatenate([value, value])) for value in conditions.values()]
    dtype = getattr(torch, sampler.spec.timestep_dtype)
    examples = [torch.zeros(2, *case.shape), torch.ones(2, dtype=dtype), *rows]
    network = _Network(sampler.denoiser.network, list(conditions))
    return _export(network, examples, ["sample", "timestep", *conditions], "output", True)


class _Loop(nn.Module):
    """The sampler with positional inputs."""

    def __init__(self, sampler: Sampler, names: list[str]) -> None:
        super().__init__()
        self.sampler, self.names = sampler, names

    def forward(self, *tensors: Tensor) -> Tensor:
        given = dict(zip(self.names, tensors, strict=True))
        return cast(Tensor, self.sampler(given.pop("noise"), given.pop("step_noise", None), **given))


class _Network(nn.Module):
    """The network with positional inputs and a bare tensor as output."""

    def __init__(self, network: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, sample: Tensor, timestep: Tensor, *conditions: Tensor) -> Tensor:
        return first_tensor(self.network(sample, timestep, **dict(zip(self.names, conditions, strict=True))))


def _export(module: nn.Module, examples: list[Tensor], names: list[str], output: str, optimise: bool) -> Any:
    for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(examples),
            dynamo=True,
            input_names=names,
            output_names=[output],
            opset_version=OPSET,
            optimize=optimise,
            verbose=False,
        )
    assert program is not None
    return program
