"""Success rates: the same scenes and seeds through eager torch, the exported graph in Python, and C++."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples import native
from examples.policy.control import Run, drive, eager, graph, success_rate
from examples.policy.network import trained
from examples.policy.world import CANDIDATES, Scene, write_scenes
from samplegraph.export import compile
from samplegraph.models import Sampler
from samplegraph.schedulers import Scheduler, create

SOURCE = Path(__file__).with_name("cpp")
HELD_OUT = 1_000_000  # seed of scenes that no demonstration was made for


def scheduler(objective: str, steps: int) -> Scheduler:
    """DDIM from pure noise on, or Euler's method on the flow."""
    if objective == "ddim":
        return create("ddim", steps, timestep_spacing="trailing")
    return create("flow_match_euler", sigmas=[1 - i / steps for i in range(steps)])


def sampler(objective: str, steps: int) -> Sampler:
    """The trained policy under ``steps`` steps; the eager reference."""
    return Sampler(trained(objective), scheduler(objective, steps), guidance_scale=None)


def exported(objective: str, steps: int, folder: Path, candidates: int = CANDIDATES) -> Path:
    """The policy as one graph that draws all candidates of a plan at once, verified against the eager sampler."""
    made = compile(sampler(objective, steps), batch=candidates)
    file = folder / f"policy-{objective}-{steps}-b{candidates}.onnx"
    made.save(file)
    made.verify()
    return file


@dataclass(frozen=True)
class Outcome:
    """The same runs three times; ``native`` is what the C++ program printed."""

    eager: list[Run]
    graph: list[Run]
    native: dict[str, Any]

    @property
    def rates(self) -> tuple[float, float, float]:
        """Success through eager torch, the graph in Python, and C++."""
        return success_rate(self.eager), success_rate(self.graph), float(self.native["success"])


def evaluate(
    objective: str, steps: int, listed: Sequence[Scene], folder: Path, binary: Path, candidates: int = CANDIDATES
) -> Outcome:
    """Drive every scene through all three."""
    file = exported(objective, steps, folder, candidates)
    return Outcome(
        drive(eager(sampler(objective, steps)), listed, candidates),
        drive(graph(file), listed, candidates),
        control(file, listed, binary, candidates=candidates),
    )


def control(
    file: Path, listed: Sequence[Scene], binary: Path, rate: float | None = None, candidates: int = CANDIDATES
) -> dict[str, Any]:
    """What the C++ loop says of these scenes: outcomes, latencies in ms, missed deadlines."""
    written = file.with_suffix(".scenes.txt")
    write_scenes(written, listed)
    pace = [] if rate is None else ["--rate", rate]
    printed: dict[str, Any] = json.loads(native.call(binary, file, written, "--candidates", candidates, *pace)[0])
    return printed
