"""The tensors of safetensors files in or below a folder: where their bytes lie.

The format is eight bytes with the length of a JSON header, the header (name -> dtype, shape, data_offsets), and the
bytes of all tensors without a gap (https://github.com/huggingface/safetensors). A sharded checkpoint is several such
files; its index says nothing that their headers do not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
from safetensors import SafetensorError, safe_open

from samplegraph.export.errors import ExportError

SUFFIX = ".safetensors"
#: How far below the folder checkpoints are looked for, and how many entries are looked at.
DEPTH = 3
ENTRIES = 20_000
_DTYPES = {
    "F64": "DOUBLE", "F32": "FLOAT", "F16": "FLOAT16", "BF16": "BFLOAT16",
    "I64": "INT64", "I32": "INT32", "I16": "INT16", "I8": "INT8",
    "U64": "UINT64", "U32": "UINT32", "U16": "UINT16", "U8": "UINT8", "BOOL": "BOOL",
    "F8_E4M3": "FLOAT8E4M3FN", "F8_E5M2": "FLOAT8E5M2",
}  # fmt: skip


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file; ``offset`` is from the start of the file, ``length`` in bytes."""

    path: Path
    offset: int
    length: int
    dtype: ir.DataType


def stored_tensors(folder: Path) -> list[StoredTensor]:
    """All tensors in or below ``folder``, in the order of paths and offsets.

    Links are passed over, hard ones too: ONNX's checker refuses external data behind them.

    Raises:
        ExportError: a file is truncated or its header contradicts it.
    """
    return [tensor for path in sorted(_files(folder)) for tensor in read_header(path)]


def read_header(path: Path) -> list[StoredTensor]:
    """The tensors of one file, by offset.

    Raises:
        ExportError: it cannot be read, is truncated, or its header contradicts it.
    """
    try:
        with safe_open(path, framework="numpy"):  # checks lengths, offsets and shapes against each other
            pass
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ExportError(
            f"{path} is no whole safetensors file ({reason}); copy it again, move it elsewhere, or pass "
            "weights='copy', which looks at none"
        ) from error
    found = []
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] in _DTYPES:
            start, end = entry["data_offsets"]
            dtype = ir.DataType[_DTYPES[entry["dtype"]]]
            found.append(StoredTensor(path, 8 + length + start, end - start, dtype))
    return sorted(found, key=lambda tensor: tensor.offset)


def _files(folder: Path) -> Iterator[Path]:
    seen = 0
    for root, folders, names in os.walk(folder):
        depth = len(Path(root).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < DEPTH else []
        seen += len(names)
        if seen > ENTRIES:
            return
        for name in names:
            path = Path(root, name)
            if name.endswith(SUFFIX) and not path.is_symlink() and path.stat().st_nlink == 1:
                yield path
