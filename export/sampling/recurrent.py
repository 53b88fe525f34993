"""A sampler from a table of coefficients: as a graph of one evaluation, or as an ONNX Loop over the table.

Both apply one row of the table: what the network is shown, the x0 that follows from its output, and the next
registers are linear combinations of the registers, the step's draws, the output and x0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from samplegraph.export.graph.bindings import analyse, class_of
from samplegraph.export.graph.builder import OPSET, Builder, graph_input
from samplegraph.export.graph.clone import ValueMap, clone_node
from samplegraph.export.partial.cost import Cost, Work, costs
from samplegraph.export.partial.specialise import FATES
from samplegraph.export.passes.pipeline import tidy_linked
from samplegraph.export.sampling.layout import Layout
from samplegraph.export.sampling.lower import Lowering
from samplegraph.export.sampling.part import Part
from samplegraph.export.sampling.segment import whole
from samplegraph.export.signature import Signature
from samplegraph.models import Sampler
from samplegraph.models.guidance_scales import PointScale
from samplegraph.runtime.manifest import CARRIED, CoefficientTable, Recurrence, Tensor


def recurrent_part(sampler: Sampler, sig: Signature, denoiser: ir.Model, tables: Recurrence, layout: Layout) -> Part:
    """The graph of the ``step`` or the ``loop`` layout; the denoiser is in it once, not specialised."""
    return _Recurrent(sampler, sig, denoiser, tables).part(layout)


class _Recurrent:
    def __init__(self, sampler: Sampler, sig: Signature, denoiser: ir.Model, tables: Recurrence) -> None:
        self.sampler, self.sig, self.tables = sampler, sig, tables
        self.graph = denoiser.graph
        self.bindings = analyse(self.graph, self.graph.inputs[0], self.graph.inputs[1])
        self.values: ValueMap = {}
        self.weights = []
        for value in self.graph.initializers.values():
            copy = ir.Value(name=value.name, type=value.type, shape=value.shape, const_value=value.const_value)
            self.values[value] = copy
            self.weights.append(copy)

    def part(self, layout: Layout) -> Part:
        step = layout.kind == "step"
        inputs, outputs = (self._step_inputs(), self._step_outputs()) if step else (self.sig.inputs, (self.sig.output,))
        segment = replace(whole(self.sampler, self.sig), inputs=inputs, outputs=outputs)
        edge = Lowering(self.sampler, self.sig, segment)
        b, given = edge.b, edge.inputs
        for source, value in zip(self.graph.inputs[2:], edge.rows[bool(self.sig.guided)], strict=True):
            self.values[source] = value
        results = self._one_step(edge) if step else self._loop(edge)
        outs = []
        for tensor, value in zip(outputs, results, strict=True):
            out = b.one("Identity", [value])
            out.name, out.type, out.shape = tensor.name, ir.TensorType(ir.DataType.FLOAT), ir.Shape(list(tensor.shape))
            outs.append(out)
        used = [*self.weights, *b.constants.values()]
        graph = ir.Graph(
            list(given.values()), outs, nodes=b.nodes, initializers=used, opset_imports={"": OPSET}, name="sampler"
        )
        model = ir.Model(graph, ir_version=10)
        tidy_linked(model)
        for value in used:
            if not value.uses():
                graph.initializers.pop(str(value.name), None)
        weights = [w for w in self.weights if w.uses()]
        per, evaluations = costs(self.bindings, self.sig.rows), self.sampler.profile.nfe
        once = per["conditions"] * (0 if step else evaluations - 1)
        work = Work(sum(per.values(), Cost()) * evaluations, once)
        counts = dict.fromkeys(FATES, 0)
        counts["hoisted"] = 0 if step else per["conditions"].nodes
        counts["per site"] = len(self.bindings.nodes) - counts["hoisted"]
        recurrence = self.tables if step else None
        return Part(model, segment, weights, per, work, counts, recurrence=recurrence)

    def _step_inputs(self) -> tuple[Tensor, ...]:
        sig, tables, shape = self.sig, self.tables, self.sig.output.shape
        size = len(tables.registers)
        text = "next registers, rows over (registers, step_noise, output, x0); see the manifest's tables"
        made = [
            replace(sig.output, name=f"sample{CARRIED}", role="carried"),
            Tensor("timestep", self.sampler.spec.timestep_dtype, (), "timestep", "what the model is told"),
            Tensor("coefficients", "float32", (2 + size, size + tables.slices + 2), "coefficients", text),
        ]
        made += [Tensor(f"state_{j}{CARRIED}", "float32", shape, "carried", name) for j, name in self._state()]
        if tables.slices:
            text = "unit normal: the draws of this evaluation, zeros where it has fewer"
            made.append(Tensor("step_noise", "float32", (tables.slices, *shape), "step_noise", text))
        return (*made, *(t for t in sig.inputs if t.role not in ("noise", "step_noise", "init_sample")))

    def _step_outputs(self) -> tuple[Tensor, ...]:
        shape, x = self.sig.output.shape, self.sig.output
        state = [Tensor(f"state_{j}", "float32", shape, "carried", name) for j, name in self._state()]
        return (x, *state, replace(x, name="x0", role="x0", description="the clean sample predicted"))

    def _state(self) -> list[tuple[int, str]]:
        return list(enumerate(self.tables.registers[1:]))

    def _one_step(self, edge: Lowering) -> list[ir.Value]:
        given = edge.inputs
        registers = [given[f"sample{CARRIED}"], *(given[f"state_{j}{CARRIED}"] for j, _ in self._state())]
        row = Row(given["timestep"], given["coefficients"], given.get("step_noise"))
        new, x0 = self._evaluation(edge, row, registers, self.values, list(self.graph))
        return [*new, x0]

    def _loop(self, edge: Lowering) -> list[ir.Value]:
        table, b = self.tables.tables[0], edge.b
        inside = []
        for node in self.graph:
            if class_of(self.bindings.nodes[node]) == "conditions":
                b.nodes.append(clone_node(node, self.values, "c."))
            else:
                inside.append(node)
        first = edge.first_sample().value
        zero = edge.zero().value
        body = self._body(edge, table, inside)
        registers = [first] + [zero] * len(self._state())
        count = b.constant(np.int64(len(table.timesteps)))
        inputs = [count, b.constant(np.bool_(True)), *registers]
        return b.op("Loop", inputs, {"body": body}, num_outputs=len(registers))[:1]

    def _body(self, edge: Lowering, table: CoefficientTable, nodes: Sequence[ir.Node]) -> ir.Graph:
        outer, b = edge.b, Builder("l")
        edge.b, b.constants = b, outer.constants  # constants of the body live outside
        index = ir.Value(name="iteration", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape([]))
        go = ir.Value(name="go_on", type=ir.TensorType(ir.DataType.BOOL), shape=ir.Shape([]))
        names = ["sample", *(f"state_{j}" for j, _ in self._state())]
        registers = [graph_input(f"{name}{CARRIED}", "float32", self.sig.output.shape) for name in names]
        row = self._row_at(edge, table, index)
        new, _ = self._evaluation(edge, row, registers, dict(self.values), nodes)
        outputs = [b.one("Identity", [go]), *(b.one("Identity", [value]) for value in new)]
        for name, out in zip(["go", *names], outputs, strict=True):
            out.name, out.type = f"{name}_out", ir.TensorType(ir.DataType.FLOAT)
            out.shape = ir.Shape(list(self.sig.output.shape))
        outputs[0].type, outputs[0].shape = ir.TensorType(ir.DataType.BOOL), ir.Shape([])
        edge.b = outer
        return ir.Graph([index, go, *registers], outputs, nodes=b.nodes, opset_imports={"": OPSET}, name="evaluation")

    def _row_at(self, edge: Lowering, table: CoefficientTable, index: ir.Value) -> Row:
        """The table's row for this iteration, and its draws."""
        b, size = edge.b, self.tables.slices
        timesteps = b.constant(np.asarray(table.timesteps).astype(self.sampler.spec.timestep_dtype))
        coefficients = b.constant(np.asarray(table.coefficients, dtype=np.float32))
        draws = None
        if size:
            slices = b.constant(np.asarray([[*s, *[0] * (size - len(s))] for s in table.slices], dtype=np.int64))
            picked = b.one("Gather", [slices, index], {"axis": 0})
            draws = b.one("Gather", [edge.inputs["step_noise"], picked], {"axis": 0})
        timestep, row = (b.one("Gather", [values, index], {"axis": 0}) for values in (timesteps, coefficients))
        return Row(timestep, row, draws)

    def _evaluation(
        self, edge: Lowering, row: Row, registers: Sequence[ir.Value], values: ValueMap, nodes: Sequence[ir.Node]
    ) -> tuple[list[ir.Value], ir.Value]:
        """``(next registers, x0)``: the combinations of a table's row around the denoiser's nodes."""
        b = edge.b
        basis = [self._stacked(b, value) for value in registers] + ([row.draws] if row.draws is not None else [])
        known = b.one("Concat", basis, {"axis": 0}) if len(basis) > 1 else basis[0]
        count = len(registers) + self.tables.slices
        seen = edge.shown(self._combined(b, row, 0, count, known), bool(self.sig.guided))
        values[self.graph.inputs[0]] = seen
        values[self.graph.inputs[1]] = b.one("Expand", [row.timestep, self._rows(b, seen)])
        b.nodes += [clone_node(node, values, "d.") for node in nodes]
        m = edge.read(values[self.graph.outputs[0]], self._scale())[0].value
        known = b.one("Concat", [known, self._stacked(b, m)], {"axis": 0})
        x0 = self._combined(b, row, 1, count + 1, known)
        if (limit := self.tables.clip) is not None:
            x0 = b.one("Clip", [x0, b.scalar(-limit), b.scalar(limit)])
        known = b.one("Concat", [known, self._stacked(b, x0)], {"axis": 0})
        return [self._combined(b, row, 2 + r, count + 2, known) for r in range(len(registers))], x0

    def _scale(self) -> PointScale:
        return self.sampler.denoiser.scale_at(self.sampler.profile.points[0]) if self.sig.guided else None

    def _stacked(self, b: Builder, value: ir.Value) -> ir.Value:
        return b.one("Unsqueeze", [value, b.constant(np.array([0], dtype=np.int64))])

    def _combined(self, b: Builder, row: Row, index: int, count: int, known: ir.Value) -> ir.Value:
        """The first ``count`` coefficients of row ``index`` times ``known``, (count, B, ...)."""
        one = b.one("Gather", [row.coefficients, b.constant(np.int64(index))], {"axis": 0})
        ends = [b.constant(np.array([n], dtype=np.int64)) for n in (0, count, 0)]
        column = b.constant(np.array([count, *[1] * len(self.sig.output.shape)], dtype=np.int64))
        factors = b.one("Reshape", [b.one("Slice", [one, *ends]), column])
        axes = b.constant(np.array([0], dtype=np.int64))
        return b.one("ReduceSum", [b.one("Mul", [known, factors]), axes], {"keepdims": 0})

    def _rows(self, b: Builder, seen: ir.Value) -> ir.Value:
        if self.sig.batch:
            return b.constant(np.array([self.sig.rows], dtype=np.int64))
        return b.one("Shape", [seen], {"start": 0, "end": 1})


@dataclass(frozen=True)
class Row:
    """One row of the table in the graph: the timestep (), the coefficients (2 + R, ...), the draws (D, B, ...)."""

    timestep: ir.Value
    coefficients: ir.Value
    draws: ir.Value | None
