"""Lowers a sampler straight to ONNX IR: each update becomes one linear combination of live tensors.

The scheduler runs on ``GraphVector``s that stand for graph values; a combination is emitted only where a tensor
is needed (a denoiser call, a product, the end of a step), so scalar chains, unused history and ``x * 1`` never appear.
``trace.trace_sampler`` gives the same graph by tracing torch and is the oracle for this route.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from samplegraph.export.graph.builder import CALL, DOMAIN, OPSET, data_type, keeps_name
from samplegraph.export.sampling.emission import Emission
from samplegraph.export.sampling.pieces import Pieces
from samplegraph.export.sampling.rescale import rescaled
from samplegraph.export.sampling.segment import Segment, whole
from samplegraph.export.sampling.vector import GraphVector
from samplegraph.export.signature import Signature
from samplegraph.models import Sampler
from samplegraph.models.clip import tail
from samplegraph.models.denoiser import normalised
from samplegraph.models.guidance import NEGATIVE, SCALE
from samplegraph.models.guidance_scales import PointScale
from samplegraph.models.task import NOISE
from samplegraph.schedulers import Prediction
from samplegraph.schedulers.steps.tensors import on_tensors


def lower_sampler(
    sampler: Sampler,
    sig: Signature,
    segment: Segment | None = None,
    *,
    exact: bool = False,
    pieces: Pieces | None = None,
) -> ir.Model:
    """The steps of ``segment``, or all, as a graph with each denoiser evaluation as a node ``samplegraph::Denoiser``.

    Its outputs are those of the segment and, behind them, the samples after all steps but the last.

    Args:
        exact: make a node of every operation, in eager's order, so that it rounds as eager does.
        pieces: what was traced before.

    Raises:
        TypeError, AttributeError: the scheduler needs more than ``GraphVector`` has (trace it instead).
        ExportError: a function of tensors within a step cannot be traced.
    """
    segment = segment or whole(sampler, sig)
    lowering = Lowering(sampler, sig, segment, exact=exact, pieces=pieces)
    x, state = lowering.begin()
    for i in segment.indices:
        x, state = sampler.scheduler.step(i, x, state, lowering.denoise, lowering.draw)
        lowering.visited.append(sampler.task.after_step(sampler.scheduler, i, x, lowering.given).value)
        x = lowering.symbol(lowering.visited[-1])
        state = tuple(lowering.shortened(row) for row in state)
    return lowering.finish({"sample": x, **{f"state_{j}": row for j, row in enumerate(state)}, "x0": lowering.x0})


class Lowering(Emission):
    """The operations of a sampler that need tensors: evaluations of the denoiser, guidance, clipping."""

    def __init__(
        self, sampler: Sampler, sig: Signature, segment: Segment, *, exact: bool = False, pieces: Pieces | None = None
    ) -> None:
        super().__init__(sig, segment, exact=exact, pieces=pieces)
        self.sampler = sampler
        self.draw: Callable[[], GraphVector] = self.noise
        self.visited: list[ir.Value] = []
        self.x0 = self.zero()
        self.kind = data_type(str(sampler.denoiser.dtype).removeprefix("torch."))
        self.rows = {wide: self._condition_rows(wide) for wide in self._widths()}
        own = [NOISE, *(each.name for each in sampler.inputs)]
        self.given = {name: self.input(name) for name in own if name in self.inputs}

    def begin(self) -> tuple[GraphVector, tuple[GraphVector, ...]]:
        """The sample and the solver's state before the first step of the segment."""
        if self.segment.carried:
            x, *state = (self.input(name) for name in self.segment.carried)
            return x, tuple(state)
        x = self.first_sample()
        return x, self.sampler.scheduler.begin(x, self.given)

    def first_sample(self) -> GraphVector:
        """As ``Task.first_sample``; one tensor where it is a sum."""
        x, self.draw = self.sampler.task.first_sample(self.sampler.scheduler, self.given, self.noise)
        return x if len(x.row.terms) == 1 else self.symbol(x.value)

    def denoise(self, x: GraphVector, i: int) -> Prediction[GraphVector]:
        """One evaluation at grid point ``i``, as ``Denoiser.bind`` does it on tensors."""
        d = self.sampler.denoiser
        factor = float(d.input_scale[i])
        scale = d.scale_at(i) if self.sig.guided else None
        seen = (x if factor == 1.0 else x / (1.0 / factor)) + d.input_shift
        wide = scale is not None
        output = self.b.one(CALL, [self.shown(seen.value, wide), *self.rows[wide]], {"point": i}, domain=DOMAIN)
        m, uncond, variance = self.read(output, scale)
        if d.classes:
            log_p = on_tensors(normalised, m) if wide else m
            return Prediction(log_p, log_p)
        unguided = d.output_is.read(x, uncond, i) if uncond is not None and d.apart else None
        p = d.output_is.read(x, m, i)
        alpha, sigma = float(d.grid.alpha[i]), float(d.grid.sigma[i])
        x0 = (x - sigma * p.eps) / alpha if d.options.x0_through_eps else p.x0
        self.x0 = self._clipped(x0)
        return Prediction(self.x0, p.eps, variance, unguided)

    def shown(self, sample: ir.Value, wide: bool) -> ir.Value:
        """What the network is given: the rows of both branches where ``wide``, in its dtype, but tokens as they are."""
        if wide:
            sample = self.b.one("Concat", [sample, sample], {"axis": 0})
        if self.sampler.denoiser.sample_dtype or self.kind == ir.DataType.FLOAT:
            return sample
        return self.b.one("Cast", [sample], {"to": int(self.kind)})

    def read(
        self, output: ir.Value, scale: PointScale
    ) -> tuple[GraphVector, GraphVector | None, GraphVector | None]:
        """The network's output in float32, both branches as one; the unconditional branch where there is one; and what
        it says of the variance, where it has twice the channels."""
        d, variance = self.sampler.denoiser, None
        if self.kind != ir.DataType.FLOAT:
            output = self.b.one("Cast", [output], {"to": int(ir.DataType.FLOAT)})
        if d.splits:
            output, variance = self._halves(output, axis=1)
        sample = self.sig.output.shape
        shape = (sample[0], d.classes - 1, *sample[1:]) if d.classes else sample
        if scale is None:
            return self.symbol(output, shape), None, self.symbol(variance) if variance else None
        uncond, cond = (self.symbol(self.sized(half, shape), shape) for half in self._halves(output, axis=0))
        of_cond = self.symbol(self.sized(self._halves(variance, axis=0)[1])) if variance else None
        return self._guided(uncond, cond, scale), uncond, of_cond

    def _halves(self, value: ir.Value, axis: int) -> list[ir.Value]:
        return self.b.op("Split", [value], {"axis": axis, "num_outputs": 2}, num_outputs=2)

    def finish(self, rows: Mapping[str, GraphVector]) -> ir.Model:
        """The graph with the outputs of the segment, of ``rows`` by name, and the samples after the earlier steps."""
        outputs: list[ir.Value] = []
        for tensor in self.segment.outputs:
            out = self.emit(rows[tensor.name])
            if not keeps_name(out) or out in outputs or out in self.visited[:-1]:
                out = self.b.one("Identity", [out])
            out.name = tensor.name
            out.shape = ir.Shape(list(tensor.shape))
            out.type = ir.TensorType(data_type(tensor.dtype))
            outputs.append(out)
        graph = ir.Graph(
            list(self.inputs.values()),
            [*outputs, *self.visited[:-1]],
            nodes=self.b.nodes,
            initializers=list(self.b.constants.values()),
            opset_imports={"": OPSET, DOMAIN: 1},
            name="sampler",
        )
        return ir.Model(graph, ir_version=10)

    def _guided(self, uncond: GraphVector, cond: GraphVector, scale: float | str) -> GraphVector:
        """As ``Guidance.combine``."""
        if isinstance(scale, float):
            row = uncond + scale * (cond - uncond)
        else:
            row = uncond + self.symbol(self.inputs[SCALE], ()) * (cond - uncond)
            row = self.symbol(row.value, row.shape)  # three nodes, however often it is read
        phi = self.sampler.guidance.rescale
        if not phi:
            return row
        return self.symbol(self.sized(rescaled(self.b, row.value, cond.value, phi, row.ndim)))

    def _clipped(self, x0: GraphVector) -> GraphVector:
        options = self.sampler.scheduler.prediction
        if options.thresholding:
            return self.symbol(self._thresholded(x0.value))
        if options.clip_sample:
            limit = options.clip_sample_range
            return self.symbol(self.b.one("Clip", [x0.value, self.b.scalar(-limit), self.b.scalar(limit)]))
        return x0

    def _thresholded(self, x0: ir.Value) -> ir.Value:
        """``models.clip.clip_x0``."""
        options, b = self.sampler.scheduler.prediction, self.b
        flat = b.one("Flatten", [x0], {"axis": 1})
        part = tail(options.dynamic_thresholding_ratio, math.prod(self.sig.sample_shape))
        k = b.constant(np.array([part.count], dtype=np.int64))
        sort = {"axis": 1, "largest": int(part.largest), "sorted": 1}
        found = b.op("TopK", [b.one("Abs", [flat]), k], sort, num_outputs=2)[0]
        s = b.one("Gather", [found, b.constant(np.array([part.below], dtype=np.int64))], {"axis": 1})
        if part.weight:
            above = b.one("Gather", [found, b.constant(np.array([part.above], dtype=np.int64))], {"axis": 1})
            s = b.one("Add", [s, b.one("Mul", [b.one("Sub", [above, s]), b.scalar(part.weight)])])
        s = b.one("Clip", [s, b.scalar(1.0), b.scalar(options.sample_max_value)])
        inside = b.one("Min", [b.one("Max", [flat, b.one("Neg", [s])]), s])
        shape = b.constant(np.array([0, *self.sig.sample_shape], dtype=np.int64))
        return b.one("Reshape", [b.one("Div", [inside, s]), shape])

    def _widths(self) -> set[bool]:
        """Whether there are calls of both branches (True), and of one."""
        points = self.sampler.profile.points
        return {bool(self.sig.guided) and self.sampler.denoiser.scale_at(point) is not None for point in points}

    def _condition_rows(self, wide: bool) -> list[ir.Value]:
        """Conditions of a denoiser call: doubled where it is of both branches, unconditional rows first."""
        rows = []
        for name in self.sig.model_conditions():
            value = self.inputs[name]
            if wide:
                value = self.b.one("Concat", [self._other(name, value), value], {"axis": 0})
            rows.append(value)
        return rows

    def _other(self, name: str, value: ir.Value) -> ir.Value:
        if name not in self.sig.guided:
            return value
        declared = self.sampler.spec.condition(name)
        if declared is None or declared.null is None:
            return self.inputs[NEGATIVE + name]
        example = self.sig.conditions[name].numpy()
        null = np.full((1,) * example.ndim, declared.null, dtype=example.dtype)
        if self.sig.batch:
            return self.b.constant(np.broadcast_to(null, example.shape))
        return self.b.one("Expand", [self.b.constant(null), self.b.one("Shape", [value])])
