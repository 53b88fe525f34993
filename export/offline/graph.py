"""Makes ONNX Runtime's optimised graph ours: weights where they were, names in order, nothing that varies by run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx.external_data_helper import ExternalDataInfo, set_external_data, uses_external_data

from samplegraph.export.storage.weights import file_name

#: Where ``settle`` finds the external weights of the optimised graph.
OPTIMIZED_WEIGHTS = "optimized.bin"
#: Weights made by the optimiser below this many bytes stay in the graph: they are mostly of one step, and the file
#: beside it shall be the same for every number of steps.
LARGE = 64 << 10
_ALIGNMENT = 4096
_MATMULS = ("MatMul", "Gemm", "FusedMatMul")
Bytes = npt.NDArray[np.uint8]


@dataclass
class BesideGraph:
    """Weights that the optimiser made and that lie beside the graph, each at its offset."""

    parts: list[tuple[int, Bytes]] = field(default_factory=list)
    file: str | None = None
    bytes: int = 0

    def is_at(self, path: Path) -> bool:
        """Whether ``path`` already holds exactly them."""
        if not path.is_file() or path.stat().st_size != self.bytes:
            return False
        stored = np.memmap(path, dtype=np.uint8, mode="r")
        return all(np.array_equal(stored[at : at + len(part)], part) for at, part in self.parts)

    def write(self, path: Path) -> None:
        """Write them."""
        with path.open("wb") as stream:
            for at, part in self.parts:
                stream.seek(at)
                part.tofile(stream)


def settle(model: onnx.ModelProto, source: Path, folder: Path) -> BesideGraph:
    """Change ``model``, the optimised form of ``source`` with its external weights in ``folder``, in place.

    A weight of ``source`` that is unchanged refers to where ``source`` has it. The others are named by their content,
    so that equal ones are one; of these the large ones come back, if ``source`` has external weights at all.
    """
    original = onnx.load(source, load_external_data=False).graph
    before = {tensor.name: tensor for tensor in original.initializer}
    beside, made, names, found = BesideGraph(), dict[str, onnx.TensorProto](), dict[str, str](), dict[str, Bytes]()
    kept: list[onnx.TensorProto] = []
    for tensor in model.graph.initializer:
        data = _bytes(tensor, folder)
        old = before.get(tensor.name)
        if old is not None and _same(tensor, old, data, source.parent):
            kept.append(old)
            continue
        kind = f"{tensor.data_type}|{list(tensor.dims)}|".encode()
        name = f"made.{hashlib.sha256(kind + data.tobytes()).hexdigest()[:16]}"
        names[tensor.name] = name
        if name not in made:
            made[name] = onnx.TensorProto(name=name, data_type=tensor.data_type, dims=tensor.dims)
            found[name] = np.array(data)
    external = any(uses_external_data(tensor) for tensor in original.initializer)
    large = [name for name in sorted(made) if external and len(found[name]) >= LARGE]
    _place(beside, [made[name] for name in large], [found[name] for name in large])
    for name in made.keys() - set(large):
        made[name].raw_data = found[name].tobytes()
    del model.graph.initializer[:]
    model.graph.initializer.extend([*kept, *(made[name] for name in sorted(made))])
    _rename(model.graph, names)
    _plain(model)
    return beside


def packed_bytes(model: onnx.ModelProto) -> int:
    """Bytes that ONNX Runtime packs at load: it packs a weight of a matrix product once for each use."""
    sizes = {
        t.name: onnx.helper.tensor_dtype_to_np_dtype(t.data_type).itemsize * int(np.prod(t.dims, dtype=np.int64))
        for t in model.graph.initializer
    }
    return sum(sizes.get(node.input[1], 0) for node in model.graph.node if node.op_type in _MATMULS)


def _place(beside: BesideGraph, tensors: list[onnx.TensorProto], parts: list[Bytes]) -> None:
    """Put ``parts`` into one file, and refer ``tensors`` to it."""
    if not tensors:
        return
    sha = hashlib.sha256()
    for tensor, part in zip(tensors, parts, strict=True):
        sha.update(tensor.name.encode())
        at = -(-beside.bytes // _ALIGNMENT) * _ALIGNMENT
        beside.parts.append((at, part))
        beside.bytes = at + len(part)
    beside.file = file_name(sha.hexdigest())
    for tensor, (at, part) in zip(tensors, beside.parts, strict=True):
        tensor.raw_data = b""
        set_external_data(tensor, beside.file, at, len(part))
        tensor.ClearField("raw_data")


def _bytes(tensor: onnx.TensorProto, folder: Path) -> Bytes:
    """Its data; what lies in a file is mapped, not read."""
    if not uses_external_data(tensor):
        return np.frombuffer(onnx.numpy_helper.to_array(tensor).tobytes(), dtype=np.uint8)
    info = ExternalDataInfo(tensor)
    length: Any = info.length
    return np.memmap(folder / info.location, dtype=np.uint8, mode="r", offset=info.offset or 0, shape=(length,))


def _same(tensor: onnx.TensorProto, old: onnx.TensorProto, data: Bytes, folder: Path) -> bool:
    return (
        tensor.data_type == old.data_type
        and list(tensor.dims) == list(old.dims)
        and np.array_equal(_bytes(old, folder), data)
    )


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Initializers by ``names``, values between nodes by their order; nodes lose theirs, which vary by run."""
    fixed = {value.name for value in (*graph.input, *graph.output)}
    for node in graph.node:
        for k, name in enumerate(node.input):
            node.input[k] = names.get(name, name)
        for k, name in enumerate(node.output):
            if name and name not in fixed:
                names[name] = f"made.v{len(names)}"
                node.output[k] = names[name]
        node.ClearField("name")
        node.ClearField("doc_string")


def _plain(model: onnx.ModelProto) -> None:
    """Drop the shapes of values, which are inferred at load, and the domains that no node uses."""
    del model.graph.value_info[:]
    used = {node.domain for node in model.graph.node}
    kept = [each for each in model.opset_import if each.domain in used | {""}]
    del model.opset_import[:]
    model.opset_import.extend(sorted(kept, key=lambda each: each.domain))
