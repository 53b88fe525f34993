"""``python -m benchmarks.size``: exporting a network of Stable Diffusion 1.5's size, seconds, memory and bytes.

Two ways, each in folders of its own: ``copied`` (the checkpoint lies elsewhere) and ``in_place`` (it lies in the output
folder). One graph with no capture kept from before, a second one over the same weights, and both in one command, again
with no capture kept. Takes 11 GB on the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine, stable_diffusion
from benchmarks.isolate import ROOT

RESULTS = ROOT / "benchmarks" / "results"
#: Scheduler and steps of each command; "both" makes the first and one of 10 steps.
RUNS = {"first": ("ddim", "25"), "second": ("euler", "10"), "both": ("ddim", "10,25")}


def main() -> int:
    """Exit status 1 where an export fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.size", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep checkpoint and graphs there")
    parser.add_argument("--output", type=Path, default=RESULTS / f"size-{machine.name()}.json")
    options = parser.parse_args()
    about, records = machine.describe(os.cpu_count() or 1), []
    folder = options.folder or Path(tempfile.mkdtemp())
    try:
        checkpoint = folder / "checkpoint"
        if not (checkpoint / stable_diffusion.FILE).exists():
            command = [sys.executable, "-m", "benchmarks.stable_diffusion", str(checkpoint)]
            subprocess.run(command, check=True, cwd=ROOT)  # so that this process stays small
        for way in ("copied", "in_place"):
            for run in RUNS:
                output = folder / way if way == "copied" else checkpoint
                if run in ("first", "both"):
                    _clear(output, folder / "cache")
                records.append({"way": way, "run": run, **_export(checkpoint, output, folder / "cache", run)})
                print(json.dumps(records[-1]), flush=True)
                text = json.dumps({"machine": about, "records": records}, indent=1) + "\n"
                options.output.parent.mkdir(exist_ok=True)
                options.output.write_text(text, encoding="utf-8")
            if way == "copied":
                shutil.rmtree(output)
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    return 0


def _export(checkpoint: Path, output: Path, cache: Path, run: str) -> dict[str, Any]:
    """One command in a process of its own: wall and processor seconds, peak memory, bytes that it wrote."""
    scheduler, steps = RUNS[run]
    before = _bytes(output)
    command = [sys.executable, "-m", "samplegraph.export", "--model", "benchmarks.stable_diffusion:unet"]
    command += ["--scheduler", scheduler, "--steps", steps, "--no-verify", "--output", str(output)]
    environment = {**os.environ, stable_diffusion.FOLDER: str(checkpoint), "PYTHONPATH": str(ROOT)}
    environment["SAMPLEGRAPH_CACHE"] = str(cache)
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"benchmarks: export {scheduler} {steps} failed")
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss * 1024 / 1e6),
        "written": {name: size - before.get(name, 0) for name, size in _bytes(output).items() if name not in before},
        "load_average": machine.load(),
    }


def _bytes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()} if folder.is_dir() else {}


def _clear(folder: Path, cache: Path) -> None:
    """Remove what an export has written, captures kept for the next one included."""
    shutil.rmtree(cache, ignore_errors=True)
    for path in [*folder.glob("*.onnx"), *folder.glob("*.onnx.json"), *folder.glob("weights-*.bin")]:
        path.unlink()


if __name__ == "__main__":
    sys.exit(main())
