"""``python -m examples.policy``: train the policy, measure it three ways, run the control loop, draw trajectories."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from examples import native
from examples.policy import figures
from examples.policy.evaluate import HELD_OUT, SOURCE, control, exported
from examples.policy.network import SPECS, weights_file
from examples.policy.picture import draw
from examples.policy.train import train
from examples.policy.world import scenes

FOLDER = native.BUILD / "policy"
OBJECTIVES = tuple(SPECS)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    out = argparse.ArgumentParser(prog="python -m examples.policy", description=__doc__)
    out.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    commands = out.add_subparsers(dest="command", required=True)
    add = commands.add_parser("train", help="demonstrate and train; some minutes").add_argument
    add("--objective", choices=OBJECTIVES, default="ddim")
    add("--steps", type=int, default=5000, help="of the optimizer")
    add("--seed", type=int, default=0)
    add("--output", type=Path, help="the safetensors file to write; the one that is used by default")
    add = commands.add_parser("evaluate", help="success through eager torch, the graph in Python, and C++").add_argument
    add("--objectives", nargs="+", choices=OBJECTIVES, default=OBJECTIVES)
    add("--steps", nargs="+", type=int, default=figures.STEPS)
    add("--candidates", nargs="+", type=int, default=figures.CANDIDATES, help="plans to choose the safest from")
    add("--scenes", type=int, default=figures.SCENES)
    add("--write", action="store_true", help="run the control loop too, and write figures.json and README.md")
    add = commands.add_parser("control", help="the C++ control loop at a fixed rate, with its latencies").add_argument
    add("--objective", choices=OBJECTIVES, default="ddim")
    add("--steps", type=int, default=8)
    add("--rate", type=float, default=50.0, help="ticks per second")
    add("--scenes", type=int, default=20)
    add = commands.add_parser("picture", help="draw trajectories").add_argument
    add("--objective", choices=OBJECTIVES, default="ddim")
    add("--steps", type=int, default=8)
    add("--runs", type=int, default=8, help="robots in each scene")
    add("--output", type=Path, default=Path(__file__).with_name("trajectories.svg"))
    return out


def main() -> None:
    """Do what the command line asks for."""
    given = parser().parse_args()
    torch.set_num_threads(given.threads)
    FOLDER.mkdir(parents=True, exist_ok=True)
    match given.command:
        case "train":
            train(given.objective, given.steps, given.seed, given.output or weights_file(given.objective))
        case "evaluate":
            kinds = [(o, n, c) for o in given.objectives for n in given.steps for c in given.candidates]
            found = figures.measure(kinds, given.scenes, FOLDER, with_pace=given.write)
            if given.write:
                figures.write(found)
        case "control":
            binary = native.program(SOURCE, "control_loop")
            file = exported(given.objective, given.steps, FOLDER)
            said = control(file, scenes(given.scenes, HELD_OUT), binary, given.rate)
            print(json.dumps({name: value for name, value in said.items() if name != "outcomes"}, indent=1))
        case "picture":
            draw(exported(given.objective, given.steps, FOLDER), scenes(5, HELD_OUT), given.runs, given.output)


if __name__ == "__main__":
    main()
