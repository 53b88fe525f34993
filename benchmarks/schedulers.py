"""``python -m benchmarks.schedulers``: how long each scheduler takes to export on its demo model, against ddim.

Two figures, each a ratio to ddim's of the same run. The whole command in a process of its own, without a kept capture
of the network, in seconds of the clock. And what the scheduler alone costs in one process, its graph specialised,
linked and written, the network captured before, in seconds of the processor for each evaluation. The exit status is 1
where a command takes over ``LIMIT`` times as long as ddim's.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import machine
from samplegraph.export import Captures, compile
from samplegraph.models import Sampler
from samplegraph.models.demo import demo_source
from samplegraph.models.load import load_model
from samplegraph.schedulers import create, names

#: Times the seconds of ddim's command.
LIMIT = 3.0
BASE = "ddim"


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each scheduler."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedulers", description=__doc__)
    parser.add_argument("--steps", type=int, default=25, help="steps of each scheduler")
    parser.add_argument("--only", default="", help="schedulers, with commas; all where left out")
    parser.add_argument("--output", type=Path, help="write the figures as JSON, too")
    options = parser.parse_args(arguments)
    wanted = options.only.split(",") if options.only else names()
    about = machine.describe(os.cpu_count() or 1)
    records = []
    with tempfile.TemporaryDirectory() as folder:
        alone = _alone(options.steps, Path(folder))
        base = min(_command(BASE, options.steps, folder) for _ in range(2))
        base_alone, base_nfe = alone(BASE)
        print(f"{'scheduler':24} {'NFE':>5} {'command':>8} {'x ' + BASE:>7} {'alone':>7} {'x per NFE':>10}")
        for name in wanted:
            whole, (took, nfe) = _command(name, options.steps, folder), alone(name)
            ratio, each = whole / base, took / base_alone * base_nfe / nfe
            print(f"{name:24} {nfe:5} {whole:7.1f}s {ratio:7.2f} {took:6.2f}s {each:10.2f}", flush=True)
            figures = {"command_s": whole, "command_ratio": ratio, "alone_cpu_s": took, "alone_ratio_per_nfe": each}
            records.append({"scheduler": name, "nfe": nfe, **{key: round(n, 3) for key, n in figures.items()}})
    about["load_after"] = machine.load()
    if options.output:
        text = json.dumps({"machine": about, "steps": options.steps, "records": records}, indent=1) + "\n"
        options.output.write_text(text, encoding="utf-8")
    slow = [each["scheduler"] for each in records if each["command_ratio"] > LIMIT]
    if slow:
        print(f"over {LIMIT:g} times {BASE}: {', '.join(slow)}")
    return int(bool(slow))


def _command(name: str, steps: int, folder: str) -> float:
    """Seconds of ``samplegraph export`` on the scheduler's demo model."""
    words = ["--no-cache", "--scheduler", name, "--steps", str(steps), "--output", folder]
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "samplegraph.export", *words], check=True, capture_output=True)
    return time.monotonic() - start


def _alone(steps: int, folder: Path) -> Callable[[str], tuple[float, int]]:
    """Processor seconds by scheduler, and its evaluations; every network is captured first."""
    models = {source: load_model(source) for source in sorted({demo_source(name) for name in names()})}
    captures = Captures()

    def seconds(name: str) -> tuple[float, int]:
        sampler = Sampler(models[demo_source(name)], create(name, steps))
        if sampler.denoiser.told:  # a network that holds tables of its steps is captured for each number of them
            compile(sampler, captures=captures)
        gc.collect()
        gc.disable()  # a collection walks all of torch, and meets some schedulers only
        start = time.process_time()
        compile(sampler, captures=captures).save(folder / f"{name}.onnx")
        took = time.process_time() - start
        gc.enable()
        return took, sampler.profile.nfe

    for source in models:
        seconds(next(name for name in names() if demo_source(name) == source))
    return seconds


if __name__ == "__main__":
    raise SystemExit(main())
