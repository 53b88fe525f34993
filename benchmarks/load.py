"""Session load: from a file to a session of ONNX Runtime that can run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import onnxruntime as ort

from samplegraph.runtime.manifest import METADATA_KEY, Manifest
from samplegraph.runtime.onnx_metadata import read_metadata
from samplegraph.runtime.optimized import load_as_it_stands


def session(source: str | bytes, threads: int) -> Any:
    """A session with the options that ``samplegraph.runtime`` uses: ONNX Runtime's defaults, or the manifest's."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    text = read_metadata(source).get(METADATA_KEY) if isinstance(source, str) else None
    optimized = Manifest.from_json(text).optimized_for if text else None
    if optimized is not None:
        load_as_it_stands(Path(str(source)), optimized, ["CPUExecutionProvider"], options, ort)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def measure(path: str, threads: int) -> dict[str, Any]:
    """Wall seconds of one load in a fresh process."""
    start = time.perf_counter()
    session(path, threads)
    return {"seconds": round(time.perf_counter() - start, 4)}
