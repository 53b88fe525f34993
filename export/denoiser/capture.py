"""Captures a denoiser as ONNX IR, once for all samplers over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import onnx_ir as ir
import torch
from onnx_ir.tensor_adapters import TorchTensor
from torch import nn

from samplegraph.export.denoiser.capture_cache import CaptureCache
from samplegraph.export.denoiser.onnx_graph import read_graph
from samplegraph.export.denoiser.plain_call import call_plainly, check_shape
from samplegraph.export.denoiser.stage import capture_stage
from samplegraph.export.denoiser.symbolic_axis import with_axis
from samplegraph.export.denoiser.torch_export import NotTracedError, export_module, trace_module
from samplegraph.export.errors import ExportError
from samplegraph.export.passes.pipeline import tidy_denoiser
from samplegraph.export.passes.shared_constants import share_constants
from samplegraph.export.signature import BATCH_AXIS, Signature
from samplegraph.export.storage.raw import Digests
from samplegraph.export.storage.weights import SMALL
from samplegraph.models import Back, Denoiser, Front
from samplegraph.models.denoiser import LEARNED
from samplegraph.models.sources.onnx_denoiser import OnnxDenoiser
from samplegraph.models.stepped import first_tensor

#: The symbolic axis of a denoiser call.
ROWS = "rows"


class Captures:
    """Denoisers captured so far, so that several samplers over one network capture and hash it once.

    Captures of one network, as with and without guidance, share the tensors of their weights.
    A network whose weights change between captures needs a new ``Captures``.

    Args:
        cache: where captures for a static batch are kept on the disk, for further processes.
    """

    def __init__(self, cache: CaptureCache | None = None) -> None:
        self._cache = cache
        self._models: dict[tuple[object, ...], ir.Model] = {}
        self._networks: list[nn.Module] = []
        self.digests = Digests()

    def hashing(self, module: nn.Module) -> AbstractContextManager[None]:
        """While the block runs, take the digests of the module's weights, which are needed later on."""
        weights = (t.detach() for t in (*module.parameters(), *module.buffers()) if t.device.type == "cpu")
        return self.digests.ahead(TorchTensor(t) for t in weights if t.nbytes >= SMALL)

    def get(self, denoiser: Denoiser, sig: Signature, rows: int | None = None) -> ir.Model:
        """The captured and tidied network of ``denoiser`` for these shapes (see ``capture_denoiser``).

        Args:
            rows: rows of a call in the examples, where they are not ``sig.rows``.
        """
        count = rows or sig.rows
        conditions = tuple((n, sig.conditions[n].dtype, sig.conditions[n].shape) for n in sig.model_conditions())
        axis = count if sig.batch else ROWS if count == sig.rows else BATCH_AXIS
        key = (id(denoiser.network), axis, sig.sample_shape, conditions, denoiser.dtype, denoiser.spec.timestep_dtype)
        if key not in self._models and axis == BATCH_AXIS:
            self._models[key] = with_axis(self.get(denoiser, sig), ROWS, BATCH_AXIS)
        if key not in self._models:
            model = capture_denoiser(denoiser, sig, count, self._cache, self.digests)
            share_constants(model, [m for k, m in self._models.items() if k[0] == key[0]])
            self._models[key] = model
            self._networks.append(denoiser.network)  # keeps the id taken
        shape = (count, *sig.sample_shape)  # looked at each time: a learned variance asks for more of the same network
        why = f", {LEARNED}" if denoiser.splits else ""
        check_shape(self._models[key].graph.outputs[0], shape, denoiser.output_shape(shape), why)
        return self._models[key]

    def stage(self, stage: Front | Back, examples: Mapping[str, torch.Tensor], axis: str | None) -> ir.Model:
        """The captured and tidied module in front or behind, for these inputs (see ``capture_stage``)."""
        shapes = tuple((name, value.dtype, value.shape) for name, value in examples.items())
        key = (id(stage.module), type(stage), stage.spec, axis, shapes)
        if key not in self._models:
            model = capture_stage(stage, examples, axis, self._cache, self.digests)
            share_constants(model, self._models.values())
            self._models[key] = model
            self._networks.append(stage.module)
        return self._models[key]


def capture_denoiser(
    denoiser: Denoiser, sig: Signature, count: int, cache: CaptureCache | None, digests: Digests
) -> ir.Model:
    """The network as a graph ``(sample, timestep, *conditions) -> output``, optimised and tidied.

    Args:
        count: rows of a call in the examples, a multiple of the example batch.
        cache: where a capture for a static batch is looked for and kept.
        digests: those of the network's weights, as far as they are known.

    Raises:
        ExportError: the network cannot be captured, or it draws random numbers.
    """
    names = sig.model_conditions()
    if isinstance(denoiser.network, OnnxDenoiser):
        axis = count if sig.batch else ROWS
        shapes = [(axis, *sig.sample_shape), (axis,), *((axis, *sig.conditions[name].shape[1:]) for name in names)]
        model = read_graph(denoiser.network, shapes, names)
        tidy_denoiser(model)
        return model
    sample = torch.zeros((count, *sig.sample_shape), dtype=denoiser.sample_dtype or denoiser.dtype)
    timestep = torch.ones(count, dtype=getattr(torch, denoiser.spec.timestep_dtype))
    rows = [torch.cat([sig.conditions[name]] * (count // sig.example_batch)) for name in names]
    network = _Network(denoiser.network, names)
    first = {0: torch.export.Dim(ROWS)}
    dynamic = None if sig.batch else (first, first, *([tuple(first for _ in rows)] if rows else []))
    examples, inputs = (sample, timestep, *rows), ["sample", "timestep", *names]

    def export(traced: nn.Module | torch.export.ExportedProgram) -> ir.Model:
        model = export_module(traced, examples, inputs, ["output"], dynamic)
        tidy_denoiser(model)
        return model

    program = trace_module(network, examples) if cache is not None and sig.batch else None
    try:
        if program is None or cache is None:
            model = export(network)
        else:
            model = cache.get(program, inputs, digests, lambda: export(program))
    except NotTracedError:
        call_plainly(network, examples)  # what is wrong with the model is said better by a plain call
        model = export(network)  # a first call may have filled a cache
    if not sig.batch and any(v.shape is not None and isinstance(v.shape[0], int) for v in model.graph.inputs):
        raise ExportError(
            "the model makes a plain number of its batch, as len(x) and int(x.shape[0]) do; use x.shape[0] and no "
            "numbers, or give batch=B instead of 'dynamic'"
        )
    return model


class _Network(nn.Module):
    """The network with positional conditions and a bare tensor as output."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, list(names)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, *conditions: torch.Tensor) -> torch.Tensor:
        return first_tensor(self.network(sample, timestep, **dict(zip(self.names, conditions, strict=True))))
