"""Removes Identity nodes and keeps the names of inputs and outputs.

onnx-ir's pass renames a graph input that is handed on as an output, and loses the name of one of two equal outputs.
"""

from __future__ import annotations

import onnx_ir as ir


class InnerIdentityPass(ir.passes.InPlacePass):
    """Drops every Identity but one between an input, or another output, and an output."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, modified = model.graph, False
        for node in list(graph):
            source, copy = node.inputs[0] if node.inputs else None, node.outputs[0]
            if node.op_type != "Identity" or node.domain or source is None:
                continue
            if copy in graph.outputs:
                if source.producer() is None or source in graph.outputs:
                    continue
                source.name, source.shape, source.type = copy.name, copy.shape or source.shape, copy.type or source.type
                graph.outputs[graph.outputs.index(copy)] = source
            ir.convenience.replace_all_uses_with(copy, source)
            graph.remove(node, safe=True)
            modified = True
        return ir.passes.PassResult(model, modified=modified)
