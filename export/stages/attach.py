"""Puts the modules in front of and behind a linked sampler into its graph, or into those of its chunks.

The fronts stand in the first graph; what later ones read of their results is handed on from chunk to chunk. The module
behind stands in the last one. Everything in between, the steps, is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx_ir as ir
import torch
from onnx_ir.passes import Sequential, common

from samplegraph.export.denoiser.capture import ROWS, Captures
from samplegraph.export.edge.caller import GIVEN
from samplegraph.export.graph.builder import graph_input
from samplegraph.export.sampling.part import Part
from samplegraph.export.signature import BATCH_AXIS, Signature
from samplegraph.export.stages.on_graph import OnGraph
from samplegraph.export.storage.weights import tensor_of
from samplegraph.models import Back, Front, Sampler
from samplegraph.models.guidance import NEGATIVE
from samplegraph.runtime.manifest import CARRIED, Tensor


def attach_stages(parts: Sequence[Part], sampler: Sampler, sig: Signature, captures: Captures) -> None:
    """Change ``parts``, the graphs of ``sampler`` in order, so that they take and give what its caller does.

    Raises:
        ExportError: a module cannot be captured.
    """
    if not sampler.pre and sampler.post is None:
        return
    stages = _Stages(sampler, sig, captures)
    if sampler.pre:
        stages.put_front(parts)
    if sampler.post is not None:
        stages.put_back(parts[-1], sampler.post)
    for part in parts:
        tidy = Sequential(common.RemoveUnusedNodesPass(), common.ClearMetadataAndDocStringPass())
        tidy(part.model)


class _Stages:
    def __init__(self, sampler: Sampler, sig: Signature, captures: Captures) -> None:
        self.sampler, self.sig, self.captures = sampler, sig, captures
        self.own = {t.name: t for t in sig.inputs}
        self.fronts: list[Front | Back] = list(sampler.entrance.inlet.fronts)

    def put_front(self, parts: Sequence[Part]) -> None:
        """Let the fronts make what the parts read of their results."""
        inlet, first = self.sampler.entrance.inlet, parts[0]
        guided = self.sampler.entrance.guided(self.own)
        given = {t.name: graph_input(t.name, t.dtype, t.shape) for t in self.sig.edge.inputs}
        operations = self._operations(first)
        results = inlet.run(given, guided, operations)
        read = [{t.name for t in part.segment.inputs} & results.keys() for part in parts]
        values = {str(v.name): v for v in first.model.graph.inputs}
        for name, value in results.items():
            if name in values:
                self._know(value, self.own[name])
                ir.convenience.replace_all_uses_with(values[name], value, replace_graph_outputs=True)
        kept = {t.name: t for t in first.segment.inputs if t.name not in results}
        inputs = tuple(kept.get(t.name, t) for t in self.sig.edge.inputs if t.name in kept or self._is_front(t))
        first.model.graph.inputs[:] = [values[t.name] if t.name in kept else given[t.name] for t in inputs]
        first.segment = replace(first.segment, inputs=inputs)
        self._insert(first, operations, before=True)
        operations.stack_again(first.model.graph)
        handed = results
        for k, part in enumerate(parts):
            later = sorted(set().union(*read[k + 1 :]), key=list(results).index)
            if k:
                handed = self._carried(part, sorted(read[k] | set(later), key=list(results).index))
            self._hand_on(part, {name: handed[name] for name in later})

    def put_back(self, part: Part, back: Back) -> None:
        """Let the module behind make the output of the part's sample."""
        graph, tensor = part.model.graph, self.sig.edge.output
        sample = graph.outputs[0]
        if sample.name == tensor.name:
            sample.name = f"{tensor.name}_before_post"
        part.visited = (*part.visited[:-1], str(sample.name)) if part.visited else ()
        operations = self._operations(part)
        result = operations.emit(back, [sample])[0]
        self._insert(part, operations, before=False)
        graph.outputs[0] = self._output(part, result, tensor)
        part.segment = replace(part.segment, outputs=(tensor, *part.segment.outputs[1:]))

    def _is_front(self, tensor: Tensor) -> bool:
        return tensor.name.removeprefix(NEGATIVE) in self.sampler.entrance.inlet.inputs

    def _operations(self, part: Part) -> OnGraph:
        names = {front: f"pre{k}" for k, front in enumerate(self.fronts)}
        known = {id(tensor_of(v)): v for v in part.model.graph.initializers.values()}
        return OnGraph(self._captured, lambda stage: names.get(stage, "post"), self.sig.batch, known)

    def _captured(self, stage: Front | Back, twofold: bool) -> ir.Model:
        if isinstance(stage, Back):
            count, dtype = self.sig.example_batch, self.sampler.scheduler.sample_dtype
            examples = {"sample": torch.zeros((count, *self.sig.sample_shape), dtype=getattr(torch, dtype))}
        else:
            examples = self.sig.edge.shown[self.fronts.index(stage)]
        if twofold:
            examples = {name: torch.cat([value, value]) for name, value in examples.items()}
        axis = None if self.sig.batch else ROWS if twofold else BATCH_AXIS
        return self.captures.stage(stage, examples, axis)

    def _carried(self, part: Part, names: Sequence[str]) -> dict[str, ir.Value]:
        """The inputs of a later chunk that hold the fronts' results."""
        graph, inputs = part.model.graph, {str(v.name): v for v in part.model.graph.inputs}
        tensors = [t for t in part.segment.inputs if t.name not in names]
        found: dict[str, ir.Value] = {}
        for name in names:
            made = replace(self.own[name], name=f"{GIVEN}{name}{CARRIED}", role="carried", default=None)
            tensors.append(made)
            if name not in inputs:
                inputs[name] = graph_input(made.name, made.dtype, made.shape)
                graph.inputs.append(inputs[name])
            found[name] = inputs[name]
            found[name].name = made.name
        order = {t.name: k for k, t in enumerate(tensors)}
        graph.inputs[:] = sorted(graph.inputs, key=lambda value: order[str(value.name)])
        part.segment = replace(part.segment, inputs=tuple(tensors))
        return found

    def _hand_on(self, part: Part, values: dict[str, ir.Value]) -> None:
        outputs = list(part.segment.outputs)
        for name, value in values.items():
            tensor = replace(self.own[name], name=f"{GIVEN}{name}", role="carried", default=None)
            part.model.graph.outputs.append(self._output(part, value, tensor))
            outputs.append(tensor)
        part.segment = replace(part.segment, outputs=tuple(outputs))

    def _output(self, part: Part, value: ir.Value, tensor: Tensor) -> ir.Value:
        """``value`` as an output of that name."""
        node = ir.Node("", "Identity", [value], num_outputs=1)
        like = graph_input(tensor.name, tensor.dtype, tensor.shape)
        out = node.outputs[0]
        out.name, out.type, out.shape, node.name = like.name, like.type, like.shape, f"n.{tensor.name}"
        part.model.graph.append(node)
        return out

    def _know(self, value: ir.Value, tensor: Tensor) -> None:
        if value.producer() is not None:
            like = graph_input(tensor.name, tensor.dtype, tensor.shape)
            value.type, value.shape = like.type, like.shape

    def _insert(self, part: Part, operations: OnGraph, *, before: bool) -> None:
        graph, nodes = part.model.graph, operations.b.nodes
        if before:
            graph.insert_before(graph[0], nodes)
        else:
            graph.extend(nodes)
        for value in (*operations.weights.values(), *operations.b.constants.values()):
            if value.uses():
                graph.register_initializer(value)
        own = [value for value in operations.weights.values() if value.uses()]
        part.weights += own
        part.stage_weights += own
