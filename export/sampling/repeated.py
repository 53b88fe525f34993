"""The repeated layout: one graph of K evaluations, called until a table is used up.

Unlike a chunk it knows no coefficients and no timesteps: both come from inputs, so that one graph, and one engine, is
all chunks of a sampler. Unlike the graph of one evaluation it is specialised: what the network computes from the
timestep is computed beforehand, what it computes from conditions once per call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.export.graph.builder import CALL, DOMAIN, OPSET, graph_input
from samplegraph.export.link import Target, link
from samplegraph.export.partial.cost import Work
from samplegraph.export.partial.numbers import Array, ConstantTable
from samplegraph.export.passes.pipeline import tidy_linked
from samplegraph.export.sampling.layout import Layout
from samplegraph.export.sampling.lower import Lowering
from samplegraph.export.sampling.part import Part, part, take_visited
from samplegraph.export.sampling.segment import whole
from samplegraph.export.signature import Signature
from samplegraph.export.storage.constants import describe_constants
from samplegraph.models import Sampler
from samplegraph.runtime.manifest import CARRIED, Recurrence, Tensor

_CONSTANTS = "constants"


def repeated_part(
    samplers: Sequence[Sampler],
    sig: Signature,
    target: Target,
    tables: Recurrence,
    layout: Layout,
    site_done: Callable[[int], None] | None = None,
) -> Part:
    """The graph of K = ``layout.size`` evaluations, and the constants that it reads.

    Args:
        samplers: one for each of ``tables``, over one network.

    Raises:
        ExportError: a sampler has fewer than K evaluations, or a constant does not fit float32.
    """
    fewest = min(samplers, key=lambda sampler: sampler.profile.nfe)
    if layout.size > fewest.profile.nfe:
        raise ExportError(
            f"layout={str(layout)!r} does not fit the {fewest.profile.nfe} evaluations of {fewest.scheduler.steps} "
            f"steps; give 1 to {fewest.profile.nfe}"
        )
    return _Repeated(samplers[0], sig, tables, layout.size).part(samplers, target, site_done)


class _Repeated:
    def __init__(self, sampler: Sampler, sig: Signature, tables: Recurrence, size: int) -> None:
        self.sampler, self.sig, self.tables, self.size = sampler, sig, tables, size
        rows = np.array([row for table in tables.tables for row in table.coefficients], dtype=np.float32)
        idle = np.eye(*rows.shape[1:], dtype=np.float32)[: len(tables.registers)]
        self.rows = np.concatenate([rows, [[*rows[0, :2], *idle]]])  # those of padding, too
        text = "as the manifest's tables have them, of the evaluations of a call"
        self.told = Tensor("coefficients", "float32", (size, *rows.shape[1:]), "coefficients", text)

    def part(self, samplers: Sequence[Sampler], target: Target, site_done: Callable[[int], None] | None) -> Part:
        sampler, outputs = self.sampler, self._outputs()
        segment = replace(whole(sampler, self.sig), inputs=self._inputs(), outputs=outputs)
        edge = Lowering(sampler, self.sig, segment)
        graph = self._graph(edge, outputs)
        value = graph_input(_CONSTANTS, "float32", (self.size, 1))
        timesteps = [np.full_like(target.timestep, t) for table in self.tables.tables for t in table.timesteps]
        constants = ConstantTable(timesteps, self.size, value)
        model = ir.Model(graph, ir_version=10)
        groups = link(model, lambda _: target, site_done, constants)
        if constants.width:
            value.shape = ir.Shape([self.size, constants.width])
            place = [t.name for t in segment.inputs].index("coefficients") + 1
            graph.inputs.insert(place, value)
            text = "what the network computes from the timestep, of the evaluations of a call"
            told = Tensor(_CONSTANTS, "float32", (self.size, constants.width), _CONSTANTS, text)
            segment = replace(segment, inputs=(*segment.inputs[:place], told, *segment.inputs[place:]))
        tidy_linked(model)
        made = part(model, segment, groups, take_visited(graph, len(outputs)))
        nfe, per = sampler.profile.nfe, made.bindings
        once = per["timestep"] * nfe + per["conditions"] * (nfe - -(-nfe // self.size))
        made.work = Work(sum(per.values(), Work().total) * nfe, once)
        starts = np.cumsum([0, *(each.profile.nfe for each in samplers)])
        found = zip(self.tables.tables, starts, strict=False)
        own = tuple(replace(table, first_constants=int(start)) for table, start in found)
        made.constants = constants.rows() if constants.width else None
        file = describe_constants(made.constants) if made.constants is not None else None
        made.recurrence = replace(self.tables, tables=own, evaluations=self.size, constants=file)
        return made

    def _inputs(self) -> tuple[Tensor, ...]:
        sig, slices, shape = self.sig, self.tables.slices * self.size, self.sig.output.shape
        made = [replace(sig.output, name=f"sample{CARRIED}", role="carried")]
        made += [Tensor(f"state_{j}{CARRIED}", "float32", shape, "carried", name) for j, name in self._state()]
        made.append(self.told)
        if slices:
            text = f"unit normal: {self.tables.slices} draws for each evaluation, zeros where it has fewer"
            made.append(Tensor("step_noise", "float32", (slices, *shape), "step_noise", text))
        return (*made, *(t for t in sig.inputs if t.role not in ("noise", "step_noise", "init_sample")))

    def _outputs(self) -> tuple[Tensor, ...]:
        shape, x = self.sig.output.shape, self.sig.output
        state = [Tensor(f"state_{j}", "float32", shape, "carried", name) for j, name in self._state()]
        return (x, *state, replace(x, name="x0", role="x0", description="the clean sample predicted last"))

    def _state(self) -> list[tuple[int, str]]:
        return list(enumerate(self.tables.registers[1:]))

    def _graph(self, edge: Lowering, outputs: Sequence[Tensor]) -> ir.Graph:
        """All evaluations, each call of the denoiser one opaque node; samples in between as further outputs."""
        b, given = edge.b, edge.inputs
        registers = [given[f"sample{CARRIED}"], *(given[f"state_{j}{CARRIED}"] for j, _ in self._state())]
        flat = b.one("Reshape", [given["coefficients"], b.constant(np.array([-1], dtype=np.int64))])
        visited: list[ir.Value] = []
        x0 = registers[0]
        for k in range(self.size):
            registers, x0 = self._evaluation(edge, k, flat, registers)
            visited.append(registers[0])
        outs = []
        for tensor, value in zip(outputs, [*registers, x0], strict=True):
            out = b.one("Identity", [value])
            out.name, out.type, out.shape = tensor.name, ir.TensorType(ir.DataType.FLOAT), ir.Shape(list(tensor.shape))
            outs.append(out)
        return ir.Graph(
            list(given.values()),
            [*outs, *visited[:-1]],
            nodes=b.nodes,
            initializers=list(b.constants.values()),
            opset_imports={"": OPSET, DOMAIN: 1},
            name="sampler",
        )

    def _evaluation(
        self, edge: Lowering, k: int, flat: ir.Value, registers: list[ir.Value]
    ) -> tuple[list[ir.Value], ir.Value]:
        """``(next registers, x0)`` of evaluation ``k`` of the call."""
        b, guided, slices = edge.b, bool(self.sig.guided), self.tables.slices
        known = list(registers)
        for s in range(slices):
            index = b.constant(np.int64(k * slices + s))
            known.append(b.one("Gather", [edge.inputs["step_noise"], index], {"axis": 0}))
        seen = edge.shown(self._combined(edge, flat, k, 0, known), guided)
        output = b.one(CALL, [seen, *edge.rows[guided]], {"point": k}, domain=DOMAIN)
        scale = self.sampler.denoiser.scale_at(self.sampler.profile.points[0]) if guided else None
        known.append(edge.read(output, scale)[0].value)
        x0 = self._combined(edge, flat, k, 1, known)
        if (limit := self.tables.clip) is not None:
            x0 = b.one("Clip", [x0, b.scalar(-limit), b.scalar(limit)])
        known.append(x0)
        return [self._combined(edge, flat, k, 2 + r, known) for r in range(len(registers))], x0

    def _combined(self, edge: Lowering, flat: ir.Value, k: int, row: int, known: Sequence[ir.Value]) -> ir.Value:
        """Row ``row`` of evaluation ``k`` over ``known``; terms that are 0 in all tables are left out, 1 and -1 not
        multiplied.
        """
        b, total = edge.b, None
        columns = self.rows[:, row, : len(known)].T
        for c in sorted(range(len(known)), key=lambda c: not (columns[c] == 1).all()):
            value, numbers = known[c], columns[c]
            if not numbers.any():
                continue
            if (numbers == -1).all() and total is not None:
                total = b.one("Sub", [total, value])
                continue
            if not (numbers == 1).all():
                value = b.one("Mul", [value, self._coefficient(edge, flat, k, row, c, numbers)])
            total = value if total is None else b.one("Add", [total, value])
        return edge.sized(b.one("Mul", [known[0], b.scalar(0.0)]) if total is None else total)

    def _coefficient(self, edge: Lowering, flat: ir.Value, k: int, row: int, column: int, numbers: Array) -> ir.Value:
        """A number that is the same in all tables is a constant, another an entry of the input."""
        b = edge.b
        if (numbers == numbers[0]).all():
            return b.scalar(float(numbers[0]))
        _, high, wide = self.told.shape
        at = (k * int(high) + row) * int(wide) + column
        ends = [b.constant(np.array([n], dtype=np.int64)) for n in (at, at + 1)]
        return b.one("Slice", [flat, *ends])
