"""What a result was measured on, without anything that names the machine."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("samplegraph", "torch", "onnxruntime", "onnx-ir", "onnxscript", "diffusers", "numpy")


def describe(threads: int) -> dict[str, Any]:
    """Processor, cores, threads, versions, and the load when the run began."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load_before": load(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def load() -> float:
    """Load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def name() -> str:
    """A file name for results: system, architecture and number of cores."""
    return f"{platform.system()}-{platform.machine()}-{os.cpu_count()}".lower()


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    text = file.read_text() if file.exists() else ""
    found = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or "unknown"
