"""Captures torch modules as ONNX IR: the denoiser once, and the sampler with the denoiser as one opaque node."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import onnx_ir as ir
import torch
from onnxscript import optimizer
from torch import nn

from samplegraph.export.builder import CALL, DOMAIN, OPSET, VISITED
from samplegraph.export.errors import ExportError
from samplegraph.export.passes import tidy_denoiser
from samplegraph.export.plain_call import call_plainly, check_shape, reason_of
from samplegraph.export.raw import Digests
from samplegraph.export.segment import Segment, whole
from samplegraph.export.shared_constants import share_constants
from samplegraph.export.signature import BATCH_AXIS, Signature
from samplegraph.export.symbolic_axis import with_axis
from samplegraph.models import Denoiser, Sampler
from samplegraph.models.denoiser import first_tensor

RANDOM_OPS = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
#: The symbolic axis of a denoiser call.
ROWS = "rows"


class Captures:
    """Denoisers captured so far, so that several samplers over one network capture and hash it once.

    Captures of one network, as with and without guidance, share the tensors of their weights.
    A network whose weights change between captures needs a new ``Captures``.
    """

    def __init__(self) -> None:
        self._models: dict[tuple[object, ...], ir.Model] = {}
        self._networks: list[nn.Module] = []
        self.digests = Digests()

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
            model = capture_denoiser(denoiser, sig, count)
            tidy_denoiser(model)
            share_constants(model, [m for k, m in self._models.items() if k[0] == key[0]])
            self._models[key] = model
            self._networks.append(denoiser.network)  # keeps the id taken
        return self._models[key]


def capture_denoiser(denoiser: Denoiser, sig: Signature, count: int) -> ir.Model:
    """The network as a graph ``(sample, timestep, *conditions) -> output``, optimised.

    Args:
        count: rows of a call in the examples, a multiple of the example batch.

    Raises:
        ExportError: the network cannot be captured, its output is not shaped like its input, or it draws random
            numbers.
    """
    names = sig.model_conditions()
    sample = torch.zeros((count, *sig.sample_shape), dtype=denoiser.sample_dtype or denoiser.dtype)
    timestep = torch.ones(count, dtype=getattr(torch, denoiser.spec.timestep_dtype))
    rows = [torch.cat([sig.conditions[name]] * (count // sig.example_batch)) for name in names]
    network = _Network(denoiser.network, names)
    axis = {0: torch.export.Dim(ROWS)}
    dynamic = None if sig.batch else (axis, axis, *([tuple(axis for _ in rows)] if rows else []))
    examples, inputs = (sample, timestep, *rows), ["sample", "timestep", *names]
    try:
        model = _export(network, examples, inputs, ["output"], dynamic)
    except _NotTraced:
        call_plainly(network, examples)  # what is wrong with the model is said better by a plain call
        model = _export(network, examples, inputs, ["output"], dynamic)  # a first call may have filled a cache
    check_shape(model.graph.outputs[0], sample.shape, denoiser.output_shape(sample.shape))
    if not sig.batch and any(v.shape is not None and isinstance(v.shape[0], int) for v in model.graph.inputs):
        raise ExportError(
            "the model makes a plain number of its batch, as len(x) and int(x.shape[0]) do; use x.shape[0] and no "
            "numbers, or give batch=B instead of 'dynamic'"
        )
    return model


def trace_sampler(sampler: Sampler, sig: Signature, segment: Segment | None = None) -> ir.Model:
    """The steps of ``segment``, or all, with each evaluation as a node ``samplegraph::Denoiser(sample, *conditions)``.

    Works for every scheduler; the node's attribute ``point`` is the grid point. Outputs as of ``lower_sampler``.

    Raises:
        ExportError: the scheduler or the guidance cannot be traced.
    """
    traced = copy.copy(sampler)
    traced._modules = dict(sampler._modules)
    traced.denoiser = _OpaqueDenoiser(sampler, sig.model_conditions())
    segment = segment or whole(sampler, sig)
    batch = sig.example_batch
    examples: list[torch.Tensor] = []
    shapes: list[dict[int, Any]] = []
    axis = torch.export.Dim("batch")
    for t in segment.inputs:
        shape = [batch if isinstance(n, str) else n for n in t.shape]
        examples.append(torch.zeros(shape, dtype=getattr(torch, t.dtype)))
        shapes.append({i: axis for i, n in enumerate(t.shape) if isinstance(n, str)})
    dynamic = None if sig.batch else (tuple(shapes),)
    own = [t.name for t in segment.outputs]
    outputs = [*own, *(f"visited_{i}" for i in segment.indices[:-1])]
    model = _export(_Flat(traced, segment), tuple(examples), segment.names, outputs, dynamic)
    _unmark(model.graph)
    _rename(model.graph, "h.")
    _name_edges(model.graph, segment.names, own)
    return model


class _NotTraced(ExportError):
    """torch cannot trace a module."""


class _Network(nn.Module):
    """The network with positional conditions and a bare tensor as output."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, list(names)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, *conditions: torch.Tensor) -> torch.Tensor:
        return first_tensor(self.network(sample, timestep, **dict(zip(self.names, conditions, strict=True))))


class _Flat(nn.Module):
    """A segment of the sampler with positional inputs: its outputs, and the marked samples after the earlier steps."""

    def __init__(self, sampler: Sampler, segment: Segment) -> None:
        super().__init__()
        self.sampler, self.segment = sampler, segment

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = dict(zip(self.segment.names, tensors, strict=True))
        noise, step_noise = given.pop("noise", None), given.pop("step_noise", None)
        carried = tuple(given.pop(name) for name in self.segment.carried)
        *earlier, last = self.sampler.walk(self.segment.indices, carried, noise, step_noise, given)
        named = {"sample": last.sample, **{f"state_{j}": value for j, value in enumerate(last.state)}, "x0": last.x0}
        handed = [value for t in self.segment.outputs[1:] if (value := named[t.name]) is not None]
        return last.sample, *(_marked(value) for value in (*handed, *(position.sample for position in earlier)))


def _marked(x: torch.Tensor) -> torch.Tensor:
    """``x`` behind a node that no optimiser knows, so that each mark is an output of its own."""
    return torch.onnx.ops.symbolic(f"{DOMAIN}::{VISITED}", (x,), dtype=x.dtype, shape=x.shape, version=1)


def _unmark(graph: ir.Graph) -> None:
    """Let what was marked be the graph's output itself."""
    for k, output in enumerate(graph.outputs):
        node = output.producer()
        if node is not None and node.domain == DOMAIN and node.op_type == VISITED:
            assert node.inputs[0] is not None
            graph.outputs[k] = node.inputs[0]
            graph.remove(node, safe=True)


class _AnyNetwork(nn.Module):
    """Says that it takes any condition; never called."""

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, **conditions: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class _OpaqueDenoiser(Denoiser):
    """Stands in for the denoiser in a trace: the network becomes one symbolic node per evaluation."""

    def __init__(self, sampler: Sampler, names: list[str]) -> None:
        super().__init__(_AnyNetwork(), sampler.spec, sampler.scheduler, sampler.guidance)
        self.dtype = sampler.denoiser.dtype
        self.names = names

    def evaluate(self, sample: torch.Tensor, i: int, conditions: Mapping[str, torch.Tensor]) -> torch.Tensor:
        inputs = (sample.to(self.sample_dtype or self.dtype), *(conditions[name] for name in self.names))
        shape = self.output_shape(sample.shape)
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::{CALL}", inputs, {"point": i}, dtype=self.dtype, shape=shape, version=1
        )


def _export(
    module: nn.Module, args: tuple[torch.Tensor, ...], inputs: Sequence[str], outputs: Sequence[str], dynamic: Any
) -> ir.Model:
    """torch's exporter, quiet, with its optimiser."""
    was_training = [m for m in module.modules() if m.training]
    module.eval()
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                args,
                dynamo=True,
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=OPSET,
                dynamic_shapes=dynamic,
                optimize=False,
                verbose=False,
            )
            assert program is not None
            optimizer.optimize_ir(program.model, num_iterations=1)  # a second round finds nothing more
    except Exception as error:
        raise _NotTraced(reason_of("torch.onnx.export cannot capture the model", error)) from error
    finally:
        for m in was_training:
            m.training = True
    model = program.model
    for node in model.graph.all_nodes():
        if node.op_type in RANDOM_OPS:
            raise ExportError(
                f"the model draws random numbers (op {node.op_type}); pass randomness in as a condition, or call "
                "model.eval() and remove it"
            )
    return model


def _name_edges(graph: ir.Graph, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Give inputs and outputs their names; a tensor that is two of these is copied."""
    for name, value in zip(inputs, graph.inputs, strict=True):
        value.name = name
    for k, name in enumerate(outputs):
        value = graph.outputs[k]
        if value.producer() is not None and value not in graph.outputs[:k]:
            value.name = name
        else:
            node = ir.Node("", "Identity", [value], num_outputs=1)
            node.outputs[0].name, node.outputs[0].type, node.outputs[0].shape = name, value.type, value.shape
            graph.append(node)
            graph.outputs[k] = node.outputs[0]


def _rename(graph: ir.Graph, prefix: str) -> None:
    """Keep the names of a trace apart from those of the denoiser."""
    for value in list(graph.initializers.values()):
        value.name = f"{prefix}{value.name}"
    for node in graph:
        for output in node.outputs:
            if output is not graph.outputs[0]:
                output.name = f"{prefix}{output.name}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's progress and its warnings about packages that nothing here needs."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
