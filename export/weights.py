"""Where the weights of a graph live: inside the file, or beside it in one file named by their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from samplegraph.export.errors import ExportError

#: Weights below this many bytes are embedded under ``auto``.
EMBED_LIMIT = 16 << 20
#: Constants below this many bytes are always embedded.
SMALL = 1024
MODES = ("auto", "embed", "external")
_PROTOBUF_LIMIT = (2 << 30) - (64 << 20)
_ALIGNMENT = 4096


def digest(weights: Sequence[ir.Value]) -> tuple[str, int]:
    """SHA-256 over names, dtypes, shapes and bytes in order, and the number of bytes."""
    sha, size = hashlib.sha256(), 0
    for value in weights:
        tensor = value.const_value
        assert tensor is not None
        sha.update(f"{value.name}|{tensor.dtype.name}|{tuple(tensor.shape)}|".encode())
        sha.update(tensor.tobytes())
        size += tensor.nbytes
    return sha.hexdigest(), size


def is_external(mode: str, size: int) -> bool:
    """Whether weights of ``size`` bytes go to a file of their own.

    Raises:
        ExportError: ``mode`` is unknown, or the weights are too large to embed.
    """
    if mode not in MODES:
        raise ExportError(f"weights={mode!r} is not known; choose one of {', '.join(MODES)}")
    if mode == "embed" and size > _PROTOBUF_LIMIT:
        raise ExportError(f"weights='embed' cannot hold {size / 1e9:.1f} GB (protobuf ends at 2 GB); use 'external'")
    return mode == "external" or (mode == "auto" and size >= EMBED_LIMIT)


def file_name(sha256: str) -> str:
    """Name of the external file: equal weights are one file."""
    return f"weights-{sha256[:12]}.bin"


def layout(weights: Sequence[ir.Value]) -> dict[str, tuple[int, int]]:
    """``name -> (offset, length)`` in the external file; large tensors are aligned for memory mapping."""
    offsets: dict[str, tuple[int, int]] = {}
    position = 0
    for value in weights:
        assert value.const_value is not None
        assert value.name is not None
        if value.const_value.nbytes < SMALL:
            continue
        position = -(-position // _ALIGNMENT) * _ALIGNMENT
        offsets[value.name] = (position, value.const_value.nbytes)
        position += value.const_value.nbytes
    return offsets


def same(path: Path, weights: Sequence[ir.Value], offsets: dict[str, tuple[int, int]]) -> bool:
    """Whether ``path`` already holds exactly what ``write`` would write."""
    end = max((offset + length for offset, length in offsets.values()), default=0)
    try:
        if path.stat().st_size != end:
            return False
        with path.open("rb") as stream:
            for value in weights:
                if value.name in offsets:
                    assert value.const_value is not None
                    offset, length = offsets[value.name]
                    stream.seek(offset)
                    if stream.read(length) != value.const_value.tobytes():
                        return False
    except OSError:
        return False
    return True


def write(path: Path, weights: Sequence[ir.Value], offsets: dict[str, tuple[int, int]]) -> None:
    """Write the external file."""
    with path.open("wb") as stream:
        for value in weights:
            if value.name in offsets:
                assert value.const_value is not None
                stream.seek(offsets[value.name][0])
                stream.write(value.const_value.tobytes())
