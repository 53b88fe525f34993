"""Where the weights of a graph live: in the file, in a checkpoint beside it, or in a file named by their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.export.storage.raw import Digests

#: Weights below this many bytes are embedded under ``auto``.
EMBED_LIMIT = 16 << 20
#: Constants below this many bytes are always embedded.
SMALL = 1024
MODES = ("auto", "embed", "external", "copy")
_PROTOBUF_LIMIT = (2 << 30) - (64 << 20)


def digest(weights: Sequence[ir.Value], digests: Digests) -> tuple[str, int]:
    """SHA-256 over name, dtype, shape and SHA-256 of each weight in order, and the number of bytes."""
    tensors = [tensor_of(value) for value in weights]
    sha = hashlib.sha256()
    for value, tensor, own in zip(weights, tensors, digests.of(tensors), strict=True):
        sha.update(f"{value.name}|{tensor.dtype.name}|{tuple(tensor.shape)}|{own}|".encode())
    return sha.hexdigest(), sum(tensor.nbytes for tensor in tensors)


def tensor_of(weight: ir.Value) -> ir.TensorProtocol:
    """The numbers of an initializer."""
    assert weight.const_value is not None
    return weight.const_value


def is_external(mode: str, size: int) -> bool:
    """Whether weights of ``size`` bytes lie outside the graph file.

    Raises:
        ExportError: ``mode`` is unknown, or the weights are too large to embed.
    """
    if mode not in MODES:
        raise ExportError(f"weights={mode!r} is not known; choose one of {', '.join(MODES)}")
    if mode == "embed" and size > _PROTOBUF_LIMIT:
        raise ExportError(f"weights='embed' cannot hold {size / 1e9:.1f} GB (protobuf ends at 2 GB); use 'external'")
    return mode in ("external", "copy") or (mode == "auto" and size >= EMBED_LIMIT)


def file_name(sha256: str) -> str:
    """Name of the external file: equal weights are one file."""
    return f"weights-{sha256[:12]}.bin"
