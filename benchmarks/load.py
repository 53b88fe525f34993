"""Session load: from a file to a session of ONNX Runtime that can run."""

from __future__ import annotations

import time
from typing import Any

import onnxruntime as ort


def session(source: str | bytes, threads: int) -> Any:
    """A session with the options that ``samplegraph.runtime`` uses: ONNX Runtime's defaults."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def measure(path: str, threads: int) -> dict[str, Any]:
    """Wall seconds of one load in a fresh process."""
    start = time.perf_counter()
    session(path, threads)
    return {"seconds": round(time.perf_counter() - start, 4)}
