"""Serialises a linked graph: ONNX bytes, external weights, and the manifest in the metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.export.storage.placement import Place
from samplegraph.export.storage.weights import tensor_of
from samplegraph.runtime.manifest import METADATA_KEY


def to_proto(
    model: ir.Model, manifest: str, weights: Sequence[ir.Value], places: Mapping[str, Place]
) -> onnx.ModelProto:
    """The model as protobuf, its weights in ``places`` given by file and offset.

    A weight whose transpose is stored is read from there and transposed in front of all other nodes, once.

    Raises:
        ExportError: the graph is larger than protobuf's 2 GB.
    """
    kept = {}
    for value in weights:
        place = places.get(str(value.name))
        if place is not None and value.uses():
            kept[value] = tensor = tensor_of(value)
            shape = ir.Shape([int(n) for n in tensor.numpy().shape])
            value.const_value = ir.ExternalTensor(
                place.file, place.offset, place.length, tensor.dtype, shape=shape, name=str(value.name)
            )
    model.metadata_props[METADATA_KEY] = manifest
    try:
        proto = ir.serde.serialize_model(model)
    except ValueError as error:
        raise ExportError(f"the graph cannot be serialised ({error}); use weights='external' or fewer steps") from error
    finally:
        for value, tensor in kept.items():
            value.const_value = tensor
    _transpose_stored(proto.graph, places)
    return proto


def _transpose_stored(graph: onnx.GraphProto, places: Mapping[str, Place]) -> None:
    nodes = []
    for tensor in graph.initializer:
        place = places.get(tensor.name)
        if place is not None and place.transposed:
            name, rank = tensor.name, len(tensor.dims)
            tensor.name = f"{name}.stored"
            tensor.dims[:] = list(tensor.dims)[::-1]
            perm = list(range(rank))[::-1]
            nodes.append(onnx.helper.make_node("Transpose", [tensor.name], [name], f"{name}.transpose", perm=perm))
    for node in reversed(nodes):
        graph.node.insert(0, node)
