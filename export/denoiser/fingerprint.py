"""What a captured graph follows from, as one digest: the program that torch recorded, its weights, the code at work.

The model's own Python plays no part any more once torch has recorded it, so nothing of it has to be known.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import BuiltinFunctionType

import torch
from onnx_ir.tensor_adapters import TorchTensor
from torch._ops import HigherOrderOperator, OpOverload

import samplegraph.export
import samplegraph.models
from samplegraph.export.storage.raw import Digests, view_of

_PACKAGES = ("samplegraph", "torch", "onnx", "onnx-ir", "onnxscript", "numpy")
#: Operators whose translation comes with torch and onnxscript; others may have been registered by anyone.
_NAMESPACES = ("aten", "prims")
_MODULES = ("_operator", "math")
_PLAIN = (type(None), bool, int, float, complex, str, torch.dtype, torch.device, torch.layout, torch.memory_format)


class _UnknownError(Exception):
    """Something of which it is not certain that its text says all."""


def tensors_of(program: torch.export.ExportedProgram) -> dict[str, torch.Tensor]:
    """The parameters, buffers and constants of a program by name."""
    found = {**program.state_dict, **program.constants}
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, torch.Tensor)}


def fingerprint(program: torch.export.ExportedProgram, names: Sequence[str], digests: Digests) -> str | None:
    """SHA-256 of all that the optimised ONNX graph of ``program`` follows from.

    Args:
        names: of the graph's inputs.
        digests: those of its weights, as far as they are known.

    Returns:
        None where something in the program is no plain data, an operator is not torch's own, or a weight does not lie
        in the processor's memory as one piece.
    """
    try:
        lines = [repr(_code()), str(torch.get_default_dtype()), repr(tuple(names))]
        lines += [str(program.graph_signature), str(program.range_constraints)]
        for path, module in program.graph_module.named_modules(remove_duplicate=False):
            lines.append(f"graph {path}")
            lines += [_node(node) for node in module.graph.nodes]
        if len(tensors_of(program)) < len(program.state_dict) + len(program.constants):
            raise _UnknownError
        lines += _weights(tensors_of(program), digests)
    except Exception:  # tensors of kinds of their own fail in ways of their own, and are not kept
        return None
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _weights(tensors: Mapping[str, torch.Tensor], digests: Digests) -> list[str]:
    if any(tensor.device.type != "cpu" for tensor in tensors.values()):
        raise _UnknownError
    wrapped = [TorchTensor(tensor.detach()) for tensor in tensors.values()]
    if any(view_of(tensor) is None for tensor in wrapped):
        raise _UnknownError
    return [
        f"{name} {tensor.dtype} {tuple(tensor.shape)} {digest}"
        for name, tensor, digest in zip(tensors, wrapped, digests.of(wrapped), strict=True)
    ]


def _node(node: torch.fx.Node) -> str:
    target = _operator(node.target) if node.op == "call_function" else str(node.target)
    stack = [(key, path, str(kind)) for key, (path, kind) in node.meta.get("nn_module_stack", {}).items()]
    parts = node.op, node.name, target, _text(node.args), _text(node.kwargs), _value(node.meta.get("val")), stack
    return repr(parts)


def _operator(target: object) -> str:
    if isinstance(target, OpOverload) and target.namespace in _NAMESPACES:
        return str(target)
    if isinstance(target, HigherOrderOperator):
        return f"higher order {target}"
    if isinstance(target, BuiltinFunctionType) and target.__module__ in _MODULES:
        return f"{target.__module__}.{target.__name__}"
    raise _UnknownError


def _text(argument: object) -> str:
    """An argument of a node; whatever is not known to be plain data is refused."""
    if isinstance(argument, torch.fx.Node):
        return f"%{argument.name}"
    if isinstance(argument, list | tuple):
        return f"[{', '.join(map(_text, argument))}]"
    if isinstance(argument, dict):
        return f"{{{', '.join(f'{key!r}: {_text(value)}' for key, value in argument.items())}}}"
    if isinstance(argument, slice):
        return f"slice{_text((argument.start, argument.stop, argument.step))}"
    if type(argument) in _PLAIN:
        return repr(argument)
    raise _UnknownError


def _value(value: object) -> str:
    """What a node gives: the dtype, shape and layout of a tensor, a symbolic number, or several of them."""
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {tuple(value.shape)} {tuple(value.stride())} {value.device} {value.requires_grad}"
    if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value)


@cache
def _code() -> tuple[str, ...]:
    """Versions, and the compiler's own sources, which change without a version."""
    sources = hashlib.sha256()
    for file in (samplegraph.export.__file__, samplegraph.models.__file__):
        folder = Path(str(file)).parent
        for path in sorted(folder.rglob("*.py")):
            sources.update(f"{path.relative_to(folder).as_posix()}\n".encode())
            sources.update(path.read_bytes())
    return (platform.python_version(), *map(version, _PACKAGES), sources.hexdigest())
