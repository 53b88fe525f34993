"""Execution providers for NVIDIA GPUs: which are tried for ``auto``, and the options they are given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.notes import Notes
from samplegraph.runtime.providers import DEFAULT, Named, provider_name, short_name

#: The word for the best provider that starts.
AUTO = "auto"
#: From the best to the last that is tried.
_RANKED = ("nvtensorrtrtx", "tensorrt", "cuda", "migraphx", "rocm", "dml")
#: Providers that work on CUDA's memory -> their switch for CUDA graphs.
_GRAPH_SWITCH = {"nvtensorrtrtx": "enable_cuda_graph", "tensorrt": "trt_cuda_graph_enable", "cuda": "enable_cuda_graph"}
#: TensorRT-RTX's provider keeps kernels in that folder.
_KERNELS = "nv_runtime_cache_path"


def candidates(available: Sequence[str]) -> list[list[Named]]:
    """What ``auto`` tries in turn: each GPU's provider with the CPU behind it for what it lacks, the CPU last."""
    found: list[list[Named]] = [[full, DEFAULT] for short in _RANKED for full in available if short_name(full) == short]
    return [*found, [DEFAULT]]


def on_cuda(chosen: Sequence[Named]) -> bool:
    """Whether the first choice works on CUDA's memory."""
    return short_name(provider_name(chosen[0])) in _GRAPH_SWITCH


def gpu_of(chosen: Sequence[Named]) -> int:
    """The GPU that the first choice is told to use.

    Raises:
        InputError: it is no number.
    """
    told = 0 if isinstance(chosen[0], str) else chosen[0][1].get("device_id", 0)
    if not str(told).isdecimal():
        raise InputError(f"providers: device_id={told!r} is not allowed; give the number of a GPU, from 0")
    return int(told)


def with_options(
    chosen: Sequence[Named], tf32: bool, graphs: bool, notes: Notes, kernels: Path | None = None
) -> list[Named]:
    """``chosen`` with options for TF32, CUDA graphs and kept kernels; what is given already stays as it is."""
    made: list[Named] = []
    for each in chosen:
        name = short_name(provider_name(each))
        if name not in _GRAPH_SWITCH:
            made.append(each)
            continue
        options: dict[str, Any] = {_GRAPH_SWITCH[name]: "1"} if graphs else {}
        if name == "nvtensorrtrtx" and kernels is not None:
            with suppress(OSError):  # kernels are then compiled at every start
                (kernels / "onnxruntime").mkdir(parents=True, exist_ok=True)
                options[_KERNELS] = str(kernels / "onnxruntime")
        if name == "cuda":
            options["use_tf32"] = str(int(tf32))
        elif not tf32 and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0":
            notes.add(f"{name} has no switch for TF32; set NVIDIA_TF32_OVERRIDE=0 for products in full float32")
        given: Mapping[str, Any] = {} if isinstance(each, str) else each[1]
        made.append((provider_name(each), {**options, **given}))
    return made


def captures(chosen: Sequence[Named]) -> bool:
    """Whether one of them is told to capture CUDA graphs."""
    asked = [(_GRAPH_SWITCH.get(short_name(each[0])), each[1]) for each in chosen if not isinstance(each, str)]
    return any(switch is not None and str(options.get(switch, 0)) in ("1", "True") for switch, options in asked)
