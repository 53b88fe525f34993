"""What a call costs beyond the engine: ``python overhead.py [GRAPH.onnx] [--calls N] [--threads N ...]``.

Prints one line of JSON per number of threads; GRAPH is a 25-step DDIM sampler of digits unless one is named.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import warnings
from pathlib import Path
from typing import Any

from cpp_build import build


def digits(folder: Path) -> Path:
    """A 25-step DDIM sampler of the digits model with batch 1."""
    path = folder / "digits-ddim-25.onnx"
    if not path.is_file():
        from samplegraph.export import compile
        from samplegraph.models import Sampler
        from samplegraph.models.load import load_model
        from samplegraph.schedulers import create

        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(Sampler(load_model("digits"), create("ddim", 25), "input")).save(path)
    return path


def measure(graph: Path, calls: int, threads: int) -> dict[str, Any]:
    """The figures of `samplegraph-overhead`: ``outside_us``, ``call_us`` and ``bare_us``, medians."""
    import onnxruntime

    program = build.build("test", ("samplegraph-overhead",)) / "benchmarks" / "samplegraph-overhead"
    done = subprocess.run(
        [program, graph, str(calls), str(threads)],
        env={**os.environ, "SAMPLEGRAPH_ONNXRUNTIME": str(Path(onnxruntime.__file__).parent / "capi")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {**json.loads(done.stdout), "threads": threads}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path, nargs="?")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    arguments = parser.parse_args()
    graph = arguments.graph or digits(build.BUILD / "graphs")
    for threads in arguments.threads:
        print(json.dumps(measure(graph, arguments.calls, threads)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
