"""The precision of the network; sampler state, guidance and coefficients are float32 whatever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir
import torch

from samplegraph.export.errors import ExportError
from samplegraph.export.graph.bindings import analyse
from samplegraph.export.graph.builder import OPSET
from samplegraph.export.precision.keep import kept_nodes, named_nodes
from samplegraph.export.precision.narrow import narrow
from samplegraph.export.precision.narrow_weights import OPSETS, NarrowWeights
from samplegraph.export.precision.quantise import QuantisedWeights, quantise
from samplegraph.models import Denoiser
from samplegraph.schedulers.errors import one_of

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
_KINDS = {"fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16}
_NAMES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16", torch.float64: "fp64"}


@dataclass(frozen=True)
class Precision:
    """What the network computes in, and patterns of what of it stays in float32.

    ``own`` says that the network computes in it by itself, and so does eager.
    """

    name: str = "fp32"
    keep_fp32: tuple[str, ...] = ()
    own: bool = True

    @property
    def opset(self) -> int:
        """The operator set of its graphs."""
        return OPSET if self.own or self.name not in _KINDS else OPSETS[_KINDS[self.name]]

    @property
    def suffix(self) -> str:
        """What a file's stem says of it."""
        return "" if self.own else f"-{self.name}"


def precision_of(denoiser: Denoiser, asked: str | None, keep_fp32: Sequence[str]) -> Precision:
    """The precision asked for, or the network's own where that is None.

    Raises:
        OptionError: an unknown precision.
        ExportError: one that this network cannot have, or something to keep where all is kept.
    """
    own = _NAMES.get(denoiser.dtype, "fp32")
    if asked is not None:
        one_of("precision", asked, PRECISIONS)
    if asked in (None, own):
        if keep_fp32:
            raise ExportError(
                f"keep_fp32={keep_fp32[0]!r} keeps nothing at precision={own}, the network's own; give "
                "precision=fp16, bf16 or int8, or leave it out"
            )
        return Precision(own)
    assert asked is not None
    if denoiser.classes:
        raise ExportError(
            f"precision={asked!r} is not for a model over tokens, where one rounded logarithm changes a token; use "
            f"precision={own}"
        )
    held = {p.dtype for p in denoiser.network.parameters() if p.is_floating_point()} | {denoiser.dtype}
    others = sorted({str(dtype)[6:] for dtype in held} - {"float32"})
    if others:
        raise ExportError(
            f"precision={asked!r} needs a float32 network, and this one has {others[0]} parameters; leave precision "
            "out to keep them, or call model.float() first"
        )
    return Precision(asked, tuple(keep_fp32), own=False)


class Converter:
    """Captured float32 denoisers in ``precision``: of several that share weights the copies share theirs."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self._weights: NarrowWeights | QuantisedWeights | None = None
        if not precision.own:
            kind = _KINDS.get(precision.name)
            self._weights = NarrowWeights(kind) if kind is not None else QuantisedWeights()
        self._done: dict[int, tuple[ir.Model, ir.Model]] = {}

    def __call__(self, denoiser: ir.Model) -> ir.Model:
        """A copy in the precision, or the denoiser itself where that is its own.

        Raises:
            ExportError: a pattern names nothing, or see ``narrow``.
        """
        if self._weights is None:
            return denoiser
        if id(denoiser) not in self._done:
            model = denoiser.clone()
            graph = model.graph
            bindings = analyse(graph, graph.inputs[0], graph.inputs[1])
            patterns = self.precision.keep_fp32
            if isinstance(self._weights, NarrowWeights):
                narrow(model, self._weights, kept_nodes(graph, bindings, patterns))
            else:
                quantise(model, self._weights, bindings, named_nodes(graph, patterns))
            self._done[id(denoiser)] = denoiser, model
        return self._done[id(denoiser)][1]

    @property
    def note(self) -> str:
        """What is to be said about the weights."""
        return self._weights.note if self._weights is not None else ""
