"""Takes a denoiser's graph out of its ONNX file and binds its axes: what torch's exporter is to modules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import Sequential, common
from onnxscript.version_converter import ConvertVersionPass

from samplegraph.export.denoiser.optimise import optimise
from samplegraph.export.denoiser.torch_export import quiet_exporters
from samplegraph.export.errors import ExportError
from samplegraph.export.graph.builder import OPSET
from samplegraph.models.sources.onnx_denoiser import OnnxDenoiser
from samplegraph.models.sources.onnx_file import read_onnx

Shape = Sequence[int | str]


def read_graph(network: OnnxDenoiser, shapes: Sequence[Shape], names: Sequence[str]) -> ir.Model:
    """The graph ``(sample, timestep, *names) -> output`` at these shapes, folded by onnxscript's optimiser.

    Args:
        shapes: of all inputs in that order; a word in place of the first axis leaves the batch open.

    Raises:
        ExportError: a shape contradicts the graph, which needs another operator set, or control flow is left.
    """
    file = read_onnx(network.path)
    model = ir.from_proto(file.model)
    ir.external_data.set_base_dir(model.graph, file.folder)
    model = _current(model, network)
    graph, call = model.graph, network.call
    inputs = {str(value.name): value for value in graph.inputs if value.name not in graph.initializers}
    order = [inputs[call.sample.name], inputs[call.timestep.name]]
    for name in names:
        if name not in inputs:
            raise ExportError(f"condition {name!r} is no input of {network.path}, which takes {', '.join(inputs)}")
        order.append(inputs[name])
    _bind(network, order, shapes)
    output = graph.outputs[0]
    for value in [*graph.inputs, *(v for node in graph.all_nodes() for v in node.outputs)]:
        value.shape = None if value not in order else value.shape
    graph.inputs[:] = order
    graph.outputs[:] = [output]
    for value, name in zip(order, ["sample", "timestep", *names], strict=True):
        _rename(graph, value, name)
    _rename(graph, output, "output")
    _tell_timestep(graph, order[1], network, shapes[1])
    Sequential(common.NameFixPass(), common.RemoveUnusedNodesPass(), common.TopologicalSortPass())(model)
    optimise(model, rounds=2)
    for node in graph.all_nodes():
        if any(a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in node.attributes.values()):
            raise ExportError(
                f"{network.path}: node {node.name!r} ({node.op_type}) has a branch or a loop that its inputs' shapes "
                "do not decide; export the model without control flow"
            )
    return model


def _current(model: ir.Model, network: OnnxDenoiser) -> ir.Model:
    """With local functions written out, in the compiler's operator set; weights of other files stay mapped."""
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if isinstance(tensor, ir.ExternalTensor):
            value.const_value = ir.Tensor(tensor.numpy(), dtype=tensor.dtype, name=tensor.name)
    Sequential(common.InlinePass(), common.RemoveInitializersFromInputsPass())(model)
    version = model.graph.opset_imports.get("", 0)
    if version < OPSET:
        try:
            with quiet_exporters():
                ConvertVersionPass(target_version=OPSET, fallback=True)(model)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ExportError(f"{network.path}: cannot be read as operator set {OPSET} ({reason})") from error
    if model.graph.opset_imports.get("") != OPSET:
        raise ExportError(f"{network.path} has operator set {version}; export it with operator set {OPSET} or older")
    return model


def _bind(network: OnnxDenoiser, order: Sequence[ir.Value], shapes: Sequence[Shape]) -> None:
    """Give the inputs their shapes; equal names of axes mean equal lengths."""
    call, bound = network.call, dict[str, tuple[int | str, str]]()
    declared = {each.name: each.shape for each in (call.sample, call.timestep, *call.conditions)}
    for position, (value, shape) in enumerate(zip(order, shapes, strict=True)):
        name = str(value.name)
        axes = declared[name]
        if position == 1:  # told separately, whatever its axes are
            continue
        if axes is not None and len(axes) != len(shape):
            raise ExportError(f"{network.path}: {name} has {len(axes)} axes, and not those of {tuple(shape)}")
        for k, (axis, length) in enumerate(zip(axes or (), shape, strict=False)):
            if isinstance(axis, int) and axis != length:
                raise ExportError(_contradiction(network, name, k, axis, length))
            if isinstance(axis, str):
                other, where = bound.setdefault(axis, (length, name))
                if other != length:
                    raise ExportError(
                        f"{network.path}: the axis {axis!r} cannot be {other} in {where} and {length} in {name}; give "
                        "shapes that agree"
                    )
        value.shape = ir.Shape(shape)


def _contradiction(network: OnnxDenoiser, name: str, axis: int, own: int, asked: int | str) -> str:
    if axis:
        return f"{network.path}: axis {axis} of {name} is {own}, and cannot be {asked}; give the shape it was made for"
    rows = f"{asked} rows a call" if isinstance(asked, int) else "a symbolic batch"
    return (
        f"{network.path} was made for {own} rows, and this sampler needs {rows} (guidance doubles them); give another "
        "batch, guidance_scale=none, or an export with a dynamic batch"
    )


def _tell_timestep(graph: ir.Graph, value: ir.Value, network: OnnxDenoiser, shape: Shape) -> None:
    """Make the graph's timestep one entry per row in the declared dtype, whatever the file takes."""
    entries, own = network.entries, network.call.timestep.dtype
    told, last = value, ir.Value(name="timestep_told", type=value.type)
    nodes = []
    uses = list(value.uses())
    if entries != "each":
        index = np.array(0 if entries == "none" else [0], np.int64)
        first = ir.Value(name="timestep_index", const_value=ir.tensor(index, name="timestep_index"))
        graph.register_initializer(first)
        nodes.append(ir.Node("", "Gather", [told, first], outputs=[last]))
        told = last
    if own != network.spec.timestep_dtype:
        last = ir.Value(name="timestep_cast", type=value.type)
        nodes.append(ir.Node("", "Cast", [told], {"to": ir.AttrInt64("to", int(value.dtype or 0))}, outputs=[last]))
        told = last
    value.dtype = ir.DataType.from_numpy(np.dtype(network.spec.timestep_dtype))
    value.shape = ir.Shape(shape)
    if nodes:
        for node, position in uses:
            node.replace_input_with(position, told)
        graph.insert_before(graph[0], nodes)


def _rename(graph: ir.Graph, value: ir.Value, name: str) -> None:
    for other in [*graph.inputs, *graph.initializers.values(), *(v for n in graph.all_nodes() for v in n.outputs)]:
        if other is not value and other.name == name:
            other.name = f"{name}_inner"
    value.name = name
