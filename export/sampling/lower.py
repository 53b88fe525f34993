"""Lowers an affine sampler straight to ONNX IR: each update becomes one linear combination of live tensors.

The scheduler runs on ``Affine`` symbols that stand for graph values; a combination is emitted only where a tensor
is needed (a denoiser call, the end of a step), so scalar chains, unused history and ``x * 1`` never appear.
``trace.trace_sampler`` gives the same graph by tracing torch and is the oracle for this route.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from samplegraph.export.graph.builder import CALL, DOMAIN, OPSET, Builder, graph_input
from samplegraph.export.sampling.rescale import rescaled
from samplegraph.export.sampling.segment import Segment, whole
from samplegraph.export.signature import Signature
from samplegraph.models import Sampler
from samplegraph.models.clip import tail
from samplegraph.models.guidance import NEGATIVE, SCALE
from samplegraph.models.guidance_scales import PointScale
from samplegraph.models.task import INIT, MASK, NOISE
from samplegraph.schedulers import Affine, Prediction

#: History rows of more terms than this are emitted instead of carried along.
_CARRIED_TERMS = 2


def lower_sampler(sampler: Sampler, sig: Signature, segment: Segment | None = None) -> ir.Model:
    """The steps of ``segment``, or all, as a graph with each denoiser evaluation as a node ``samplegraph::Denoiser``.

    Its outputs are those of the segment and, behind them, the samples after all steps but the last.

    Raises:
        TypeError: the scheduler is not affine in the sample (trace it instead).
    """
    segment = segment or whole(sampler, sig)
    lowering = Lowering(sampler, sig, segment)
    x, state = lowering.begin()
    for i in segment.indices:
        x, state = sampler.scheduler.step(i, x, state, lowering.denoise, lowering.noise)
        lowering.visited.append(lowering.after_step(i, lowering.emit(x)))
        x = lowering.symbol(lowering.visited[-1])
        state = tuple(lowering.shortened(row) for row in state)
    return lowering.finish({"sample": x, **{f"state_{j}": row for j, row in enumerate(state)}, "x0": lowering.x0})


class Lowering:
    """Graph values by symbol name, and the operations that need tensors."""

    def __init__(self, sampler: Sampler, sig: Signature, segment: Segment) -> None:
        self.sampler, self.sig, self.segment = sampler, sig, segment
        self.inputs = {t.name: graph_input(t.name, t.dtype, t.shape) for t in segment.inputs}
        self.values: dict[str, ir.Value] = {}
        self.b = Builder("h")
        self.drawn = 0
        self.visited: list[ir.Value] = []
        self.x0 = Affine()
        dtype = str(sampler.denoiser.dtype).removeprefix("torch.")
        self.kind = ir.DataType[{"float32": "FLOAT", "float64": "DOUBLE"}.get(dtype, dtype.upper())]
        self.rows = {wide: self._condition_rows(wide) for wide in self._widths()}
        self.keep: ir.Value | None = None
        self.given = {name: self.symbol(self.inputs[name]) for name in (NOISE, INIT) if name in self.inputs}

    def begin(self) -> tuple[Affine, tuple[Affine, ...]]:
        """The sample and the solver's state before the first step of the segment."""
        if self.segment.carried:
            x, *state = (self.symbol(self.inputs[name]) for name in self.segment.carried)
            return x, tuple(state)
        x = self.first_sample()
        return x, self.sampler.scheduler.init(x)

    def symbol(self, value: ir.Value) -> Affine:
        """``1 * value``."""
        assert value.name is not None
        self.values[value.name] = value
        return Affine.symbol(value.name)

    def emit(self, row: Affine) -> ir.Value:
        """The tensor of a linear combination: at most one Mul per term and one Add between terms."""
        terms = [(self.values[name], c) for name, c in row.terms.items() if c != 0.0]
        if not terms:
            like = next(iter(self.inputs.values()))
            return self.b.one("Mul", [like, self.b.scalar(0.0)])
        terms.sort(key=lambda term: np.float32(term[1]) != 1)
        total: ir.Value | None = None
        for value, coefficient in terms:
            if not math.isfinite(coefficient):
                raise TypeError("a coefficient is not finite")
            if np.float32(coefficient) == -1 and total is not None:
                total = self.b.one("Sub", [total, value])
                continue
            scaled = value if np.float32(coefficient) == 1 else self.b.one("Mul", [value, self.b.scalar(coefficient)])
            total = scaled if total is None else self.b.one("Add", [total, scaled])
        assert total is not None
        return self.sized(total)

    def sized(self, value: ir.Value) -> ir.Value:
        """Note the shape of a sample where the batch is symbolic: inference loses it at the end of each call."""
        if self.sig.batch is None and value.producer() is not None:
            value.shape = ir.Shape(list(self.sig.output.shape))
            value.type = ir.TensorType(ir.DataType.FLOAT)
        return value

    def shortened(self, row: Affine) -> Affine:
        """``row`` itself if it has few terms, else the symbol of its tensor."""
        return row if len(row.terms) <= _CARRIED_TERMS else self.symbol(self.emit(row))

    def first_sample(self) -> Affine:
        """As ``Task.first_sample``; one tensor where it is a sum."""
        x, _ = self.sampler.task.first_sample(self.sampler.scheduler, self.given, self.noise)
        return x if len(x.terms) == 1 else self.symbol(self.emit(x))

    def after_step(self, i: int, x: ir.Value) -> ir.Value:
        """As ``Sampler.after_step``: masks are no scalars, so the blend is emitted."""
        if self.sampler.task.kind != "inpaint":
            return x
        mask, b = self.inputs[MASK], self.b
        if self.keep is None:
            self.keep = b.one("Sub", [b.scalar(1.0), mask])
        anew = b.one("Mul", [mask, x])
        kept = b.one("Mul", [self.keep, self.emit(self.sampler.task.kept(self.sampler.scheduler, self.given, i))])
        return self.sized(b.one("Add", [anew, kept]))

    def noise(self) -> Affine:
        """The next slice of ``step_noise``."""
        index = self.b.constant(np.int64(self.drawn))
        self.drawn += 1
        return self.symbol(self.b.one("Gather", [self.inputs["step_noise"], index], {"axis": 0}))

    def denoise(self, x: Affine, i: int) -> Prediction[Affine]:
        """One evaluation at grid point ``i``, as ``Denoiser.bind`` does it on tensors."""
        d = self.sampler.denoiser
        if d.input_shift or d.splits:
            raise TypeError("the model's input is shifted, or its output holds a variance")
        factor = float(d.input_scale[i])
        scale = d.scale_at(i) if self.sig.guided else None
        seen = self.shown(self.emit(factor * x), scale is not None)
        output = self.b.one(CALL, [seen, *self.rows[scale is not None]], {"point": i}, domain=DOMAIN)
        m, uncond = self.read(output, scale)
        unguided: Prediction[Affine] | None = None
        if uncond is not None and d.apart:
            unguided = d.output_is.read(x, self.symbol(uncond), i)
        p = d.output_is.read(x, m, i)
        self.x0 = self._clipped(p.x0)
        return Prediction(self.x0, p.eps, None, unguided)

    def shown(self, sample: ir.Value, wide: bool) -> ir.Value:
        """What the network is given: the rows of both branches where ``wide``, in its dtype."""
        if wide:
            sample = self.b.one("Concat", [sample, sample], {"axis": 0})
        return self.b.one("Cast", [sample], {"to": int(self.kind)}) if self.kind != ir.DataType.FLOAT else sample

    def read(self, output: ir.Value, scale: PointScale) -> tuple[Affine, ir.Value | None]:
        """The network's output in float32, both branches as one, and the unconditional branch where there is one."""
        if self.kind != ir.DataType.FLOAT:
            output = self.b.one("Cast", [output], {"to": int(ir.DataType.FLOAT)})
        if scale is None:
            return self.symbol(output), None
        halves = self.b.op("Split", [output], {"axis": 0, "num_outputs": 2}, num_outputs=2)
        uncond, cond = (self.sized(half) for half in halves)
        return self._combined(uncond, cond, scale), uncond

    def finish(self, rows: Mapping[str, Affine]) -> ir.Model:
        """The graph with the outputs of the segment, of ``rows`` by name, and the samples after the earlier steps."""
        outputs: list[ir.Value] = []
        for tensor in self.segment.outputs:
            out = self.emit(rows[tensor.name])
            if out.producer() is None or out in outputs or out in self.visited[:-1]:
                out = self.b.one("Identity", [out])
            out.name = tensor.name
            out.shape = ir.Shape(list(tensor.shape))
            out.type = ir.TensorType(ir.DataType.FLOAT)
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

    def _combined(self, uncond: ir.Value, cond: ir.Value, scale: PointScale) -> Affine:
        if isinstance(scale, float):
            row = (1 - scale) * self.symbol(uncond) + scale * self.symbol(cond)
        else:
            difference = self.b.one("Sub", [cond, uncond])
            scaled = self.b.one("Mul", [difference, self.inputs[SCALE]])
            row = self.symbol(self.b.one("Add", [uncond, scaled]))
        phi = self.sampler.guidance.rescale
        if not phi:
            return row
        rank = len(self.sig.output.shape)
        return self.symbol(self.sized(rescaled(self.b, self.emit(row), cond, phi, rank)))

    def _clipped(self, x0: Affine) -> Affine:
        options = self.sampler.scheduler.prediction
        if options.thresholding:
            return self.symbol(self._thresholded(self.emit(x0)))
        if options.clip_sample:
            limit = options.clip_sample_range
            return self.symbol(self.b.one("Clip", [self.emit(x0), self.b.scalar(-limit), self.b.scalar(limit)]))
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
