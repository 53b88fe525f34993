"""``python -m benchmarks.schedulers``: how long each scheduler takes to export on its demo model, against ddim.

The network is captured once before, so that what is timed is what the scheduler costs: its graph, specialised and
linked, and the file. Seconds are those of the processor, which other programs change least. The exit status is 1
where a scheduler takes over ``LIMIT`` times as long as ddim for each evaluation.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from pathlib import Path

from samplegraph.export import Captures, compile
from samplegraph.models import Sampler
from samplegraph.models.demo import demo_source
from samplegraph.models.load import load_model
from samplegraph.schedulers import OptionError, create, names

#: Times ddim's seconds for as many evaluations.
LIMIT = 3.0


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each scheduler."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedulers", description=__doc__)
    parser.add_argument("--steps", type=int, default=25, help="steps of each scheduler")
    parser.add_argument("--only", default="", help="schedulers, with commas; all where left out")
    options = parser.parse_args(arguments)
    models = {source: load_model(source) for source in sorted({demo_source(name) for name in names()})}
    captures, slow = Captures(), []
    with tempfile.TemporaryDirectory() as folder:

        def seconds(name: str) -> tuple[float, int]:
            sampler = Sampler(models[demo_source(name)], create(name, options.steps))
            if sampler.denoiser.told:  # a network that holds tables of its steps is captured for each number of them
                compile(sampler, captures=captures)
            gc.collect()
            gc.disable()  # a collection walks all of torch, and meets some schedulers only
            start = time.process_time()
            compile(sampler, captures=captures).save(Path(folder) / f"{name}.onnx")
            took = time.process_time() - start
            gc.enable()
            return took, sampler.profile.nfe

        for source in models:
            seconds(next(name for name in names() if demo_source(name) == source))  # captures each network
        base, base_nfe = min(seconds("ddim") for _ in range(2))
        print(f"{'scheduler':24} {'NFE':>5} {'seconds':>8} {'x ddim':>7} {'x ddim per NFE':>15}")
        for name in options.only.split(",") if options.only else names():
            try:
                took, nfe = seconds(name)
            except OptionError as error:
                print(f"{name:24} {error}")
                continue
            print(f"{name:24} {nfe:5} {took:8.2f} {took / base:7.2f} {took / base * base_nfe / nfe:15.2f}", flush=True)
            if took / nfe > LIMIT * base / base_nfe:
                slow.append(name)
    if slow:
        print(f"over {LIMIT:g} times ddim for each evaluation: {', '.join(slow)}")
    return int(bool(slow))


if __name__ == "__main__":
    raise SystemExit(main())
