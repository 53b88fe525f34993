"""Runs a graph file in ONNX Runtime on the CPU, the values inside it that are asked for included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch

from samplegraph.export.errors import ExportError
from samplegraph.export.rounded import rounded as with_roundings
from samplegraph.runtime import InputError
from samplegraph.runtime.manifest import OptimizedFor
from samplegraph.runtime.optimized import load_as_it_stands

_PROBE = "probe."


def run_graph(path: Path, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """The graph's result."""
    return run_graph_steps(path, inputs, ("sample",))[-1]


def run_graph_steps(
    path: Path,
    inputs: dict[str, torch.Tensor],
    visited: Sequence[str],
    optimized: OptimizedFor | None = None,
    *,
    rounded: bool = False,
) -> list[np.ndarray]:
    """The values named ``visited``, samples all of them, in a copy of the graph that also returns these.

    Args:
        rounded: compute in float32 and write out every rounding (see ``rounded``).

    Raises:
        ExportError: ONNX Runtime is not installed or refuses the graph, or that was optimised for something else.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise ExportError("verification needs ONNX Runtime; install samplegraph[cpu] or pass --no-verify") from error
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
    if optimized is not None:
        try:
            load_as_it_stands(path, optimized, ["CPUExecutionProvider"], options, ort)
        except InputError as error:
            raise ExportError(str(error)) from error
    inside = list(dict.fromkeys(name for name in visited if name != "sample"))
    source = _probed(path, inside, rounded) if inside or rounded else path
    names = ["sample", *(_PROBE + name for name in inside)]
    try:
        session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        results = session.run(names, {k: v.numpy() for k, v in inputs.items()})
    except Exception as error:
        raise ExportError(f"ONNX Runtime refuses {path.name}: {str(error).splitlines()[0]}") from error
    found: dict[str, np.ndarray] = dict(zip(names, results, strict=True))
    return [found[name if name == "sample" else _PROBE + name] for name in visited]


def _probed(path: Path, inside: Sequence[str], rounded: bool) -> bytes:
    """The graph with these values as further outputs."""
    model = onnx.load(path, load_external_data=False)
    if rounded:
        model = with_roundings(model)
    kind = model.graph.output[0].type.tensor_type.elem_type
    for name in inside:
        model.graph.node.append(onnx.helper.make_node("Identity", [name], [_PROBE + name]))
        model.graph.output.append(onnx.helper.make_tensor_value_info(_PROBE + name, kind, None))
    data: bytes = model.SerializeToString()
    return data
