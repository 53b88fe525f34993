"""Graphs that were optimised offline for ONNX Runtime's CPU provider: loaded as they stand, and only where they fit."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.manifest import OptimizedFor
from samplegraph.runtime.providers import DEFAULT, Named, provider_name, short_name

#: ONNX Runtime's switch for packing weights at load.
PREPACKING_OFF = "session.disable_prepacking"
#: ``y = ReorderInput(x)``, x (1, 4, 1, 1): ONNX Runtime pads the four channels of y to one block of this CPU.
_PROBE = base64.b64decode(
    "CAk6VgopCgF4EgF5IgxSZW9yZGVySW5wdXQ6E2NvbS5taWNyb3NvZnQubmNod2MSAWdaGwoBeBIWChQIARIQCgIIAQoCCAQKAggBCgIIAWIJ"
    "CgF5EgQKAggBQgQKABAUQhcKE2NvbS5taWNyb3NvZnQubmNod2MQAQ=="
)


def load_as_it_stands(
    file: Path, optimized: OptimizedFor, providers: Sequence[Named], options: Any, ort: Any
) -> None:
    """Set session ``options`` for ``file``: no optimisation at load, and weights packed as the manifest says.

    Raises:
        InputError: it was optimised for another provider, a newer ONNX Runtime, or another kind of CPU.
    """
    plain = "use the plain graph, or export again here with --optimize-for cpu"
    first = provider_name(providers[0])
    if optimized.provider != "cpu" or first != DEFAULT:
        raise InputError(
            f"{file}: it was optimised for {optimized.provider} and cannot run with providers={short_name(first)!r}; "
            "use cpu, or the plain graph"
        )
    if _release(ort.__version__) < _release(optimized.onnxruntime):
        raise InputError(
            f"{file}: ONNX Runtime {optimized.onnxruntime} optimised it and {ort.__version__} is older; "
            f"update onnxruntime, or {plain}"
        )
    if optimized.channel_block:
        here = channel_block(ort)
        if here != optimized.channel_block:
            raise InputError(
                f"{file}: it was optimised for CPUs with blocks of {optimized.channel_block} channels and this one "
                f"has {here or 'none'}; {plain}, or --optimize-for any-cpu"
            )
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if not optimized.prepack:
        options.add_session_config_entry(PREPACKING_OFF, "1")


def channel_block(ort: Any) -> int:
    """Channels per block of ONNX Runtime's convolutions on this CPU, as it says itself; 0 if it has none."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(_PROBE, options, providers=[DEFAULT])
        y = session.run(None, {"x": np.zeros((1, 4, 1, 1), dtype=np.float32)})[0]
    except Exception:  # its exceptions share no base class
        return 0
    return int(y.shape[1])


def _release(version: str) -> tuple[int, ...]:
    """``1.31.1`` -> (1, 31); what is not a version is older than all."""
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()
