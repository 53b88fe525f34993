"""Seeded damage to files: bytes, JSON documents, ONNX graphs."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import onnx

#: Integers at the edges of what formats and programs count with.
EDGES = (0, -1, 1, 2, 7, 64, 1_000_000, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))
OPS = (
    "Conv MatMul Gather Reshape Expand Tile Pad Resize Slice Concat Split ConstantOfShape Range TopK NonZero ScatterND"
)


def mutate_bytes(data: bytes, seed: int) -> bytes:
    """Flipped bits, runs of one value, pieces removed, doubled or inserted; sometimes cut short."""
    draw = random.Random(seed)
    damaged = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 5, 20])):
        at, kind = draw.randrange(len(damaged)), draw.randrange(8)
        if kind == 0:
            damaged[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            damaged[at] = draw.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            del damaged[at : at + draw.choice([1, 4, 50, 500])]
        elif kind == 3:
            damaged[at:at] = draw.randbytes(draw.choice([1, 4, 16]))
        elif kind == 4:
            damaged[at : at + 8] = draw.choice([b"\xff" * 8, b"\0" * 8, b"\x80" * 8, b"\xff" * 7 + b"\x7f"])
        elif kind == 5:
            other, size = draw.randrange(len(damaged)), draw.choice([4, 64, 256])
            damaged[at : at + size] = damaged[other : other + size]
        elif kind == 6:
            damaged[at] = (damaged[at] + draw.choice([1, -1, 2, 16])) % 256
        elif draw.random() < 0.3:
            del damaged[at:]
        if not damaged:
            break
    return bytes(damaged)


def mutate_value(value: Any, draw: random.Random) -> Any:
    """Another JSON value in place of this one: near it, of another type, or at an edge."""
    others: list[Any] = [None, True, False, "", "x", "\n\x1b[31m[bold]", "../../x", [], {}, [[]], {"a": 1}, 0.5, -0.0]
    others += [1e308, -1e308, 5e-324, math.nan, math.inf, 10**400, [value] * 3, {"x": value}, str(value), *EDGES]
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        others += [value + 1, -value, value * 1000, value + 0.5] * 3
    return draw.choice(others)


def mutate_json(document: Any, seed: int) -> str:
    """The document with keys removed, added, renamed or given other values, at any depth; sometimes damaged as text."""
    draw = random.Random(seed)
    document = json.loads(json.dumps(document))
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        holder = document
        while True:
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            if not keys:
                break
            key = draw.choice(list(keys))
            child = holder[key]
            if isinstance(child, dict | list) and child and draw.random() < 0.75:
                holder = child
                continue
            kind = draw.randrange(6)
            if kind == 0:
                del holder[key]
            elif kind == 1 and isinstance(holder, dict):
                holder[draw.choice(["x", "name", "shape", key + "_"])] = holder.pop(key)
            elif kind == 2 and isinstance(holder, list):
                holder.insert(key, child)
            else:
                holder[key] = mutate_value(child, draw)
            break
    text = json.dumps(document, indent=1)
    if draw.random() < 0.15:
        return mutate_bytes(text.encode(), seed).decode(errors="replace")
    return text


def mutate_graph(data: bytes, seed: int) -> bytes:
    """A well-formed ONNX file whose graph is wrong: other attributes, shapes, types, operators, edges, constants."""
    draw = random.Random(seed)
    model = onnx.load_model_from_string(data)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        _change(model, draw)
    return bytes(model.SerializeToString())


def _change(model: onnx.ModelProto, draw: random.Random) -> None:
    graph = model.graph
    if not graph.node:
        return
    node, tensor, kind = draw.choice(graph.node), draw.choice(graph.initializer), draw.randrange(13)
    values = [*(o for n in graph.node for o in n.output), *(t.name for t in graph.initializer), "", "noise"]
    if kind == 0 and node.attribute:
        _change_attribute(draw.choice(node.attribute), draw)
    elif kind == 1:
        node.op_type = draw.choice([*OPS.split(), *(n.op_type for n in graph.node)])
    elif kind == 2 and node.input:
        node.input[draw.randrange(len(node.input))] = draw.choice(values)
    elif kind == 3 and tensor.dims:
        tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice(EDGES)
    elif kind == 4:
        tensor.data_type = draw.randrange(24)
    elif kind == 5 and tensor.raw_data:
        tensor.raw_data = mutate_bytes(tensor.raw_data, draw.randrange(1 << 30))
    elif kind == 6:
        del graph.node[draw.randrange(len(graph.node))]
    elif kind == 7:
        graph.node.insert(draw.randrange(len(graph.node)), draw.choice(graph.node))
    elif kind == 8:
        node.output[0] = draw.choice(values)
    elif kind == 9 and node.input:
        del node.input[-1]
    elif kind == 10:
        model.opset_import[0].version = draw.choice([0, 1, 7, 13, 21, 99, -1])
    elif kind == 11:
        model.ir_version = draw.choice([0, 1, 3, 7, 99, -1])
    elif kind == 12:
        axes = draw.choice([*graph.input, *graph.output]).type.tensor_type.shape.dim
        if axes:
            axes[draw.randrange(len(axes))].dim_value = draw.choice(EDGES)


def _change_attribute(attribute: onnx.AttributeProto, draw: random.Random) -> None:
    if attribute.ints:
        attribute.ints[draw.randrange(len(attribute.ints))] = draw.choice(EDGES)
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = draw.choice(EDGES)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = draw.choice([0.0, -1.0, 1e38, math.nan, math.inf])
