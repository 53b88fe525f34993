"""Serialises a linked graph: ONNX bytes, external weights, and the manifest in the metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.runtime.manifest import METADATA_KEY


def to_proto(
    model: ir.Model,
    manifest: str,
    weights: Sequence[ir.Value],
    external: Mapping[str, tuple[int, int]],
    file: str | None,
) -> onnx.ModelProto:
    """The model as protobuf, its weights in ``external`` given by offset into ``file``.

    Raises:
        ExportError: the graph is larger than protobuf's 2 GB.
    """
    kept = {}
    for value in weights:
        if value.name is not None and value.name in external and value.uses():
            assert value.const_value is not None
            assert file is not None
            kept[value] = value.const_value
            offset, length = external[value.name]
            value.const_value = ir.ExternalTensor(
                file,
                offset,
                length,
                kept[value].dtype,
                shape=kept[value].shape,  # type: ignore[arg-type]
                name=value.name,
            )
    model.metadata_props[METADATA_KEY] = manifest
    try:
        return ir.serde.serialize_model(model)
    except ValueError as error:
        raise ExportError(f"the graph cannot be serialised ({error}); use weights='external' or fewer steps") from error
    finally:
        for value, tensor in kept.items():
            value.const_value = tensor
