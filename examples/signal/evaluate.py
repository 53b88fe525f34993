"""Figures of the decoder: quality against steps, and the stream through torch, the graph in Python, and C++."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from examples import native
from examples.signal.bands import FRAME, bands_of
from examples.signal.network import decoder
from examples.signal.quality import Quality, quality
from examples.signal.sound import RATE, sounds
from examples.signal.stream import Floats, eager, graph, stream
from samplegraph.export.cli import main
from samplegraph.models import Sampler
from samplegraph.schedulers import create

SOURCE = Path(__file__).with_name("cpp")
SCHEDULER = "flow_match_euler"
HELD_OUT = 1_000_000  # seed of sounds that no training run has
BANDS_FILE = Path(__file__).with_name("example-bands.npy")
STEM = f"signal-{SCHEDULER}-{{}}-g1.onnx"


def sampler(steps: int) -> Sampler:
    """The trained decoder under Euler's method; the eager reference."""
    return Sampler(decoder(), create(SCHEDULER, steps), guidance_scale=None)


def export_all(counts: Sequence[int], folder: Path) -> list[Path]:
    """One graph per step count over one weights file, by the command line that README.md shows."""
    command = ["export", "--model", "examples.signal.network:decoder", "--scheduler", SCHEDULER]
    command += ["--steps", ",".join(map(str, counts)), "--guidance-scale", "none", "--weights", "external"]
    command += ["--condition", f"bands=@{BANDS_FILE}", "--output", str(folder.absolute())]
    if status := main(command, program="samplegraph"):
        raise SystemExit(status)
    return [folder / STEM.format(steps) for steps in counts]


def sound(seconds: float, seed: int = HELD_OUT) -> tuple[Floats, Floats]:
    """A held-out sound (T,), and its bands (T / FRAME, BANDS)."""
    samples = sounds(1, int(seconds * RATE) // FRAME * FRAME, seed)[0]
    return samples.numpy(), bands_of(samples).numpy()


def decode_natively(file: Path, bands: Floats, seed: int, binary: Path) -> tuple[Floats, dict[str, Any]]:
    """The C++ program's samples, and what it says of its times."""
    out, said = native.call(binary, file, "--seed", seed, stdin=bands.astype("<f4").tobytes())
    return np.frombuffer(out, dtype="<f4"), json.loads(said)


def relative_error(ours: Floats, reference: Floats) -> float:
    """Largest difference over the largest value."""
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


@dataclass(frozen=True)
class Row:
    """One step count: quality of the eager stream, errors of the others against it, times of the C++ program."""

    steps: int
    quality: Quality
    graph_error: float
    native_error: float
    times: dict[str, Any]


def measure(steps: int, file: Path, heard: Floats, bands: Floats, seed: int, binary: Path) -> Row:
    """Decode ``bands`` three ways."""
    reference = stream(eager(sampler(steps)), bands, seed)
    natively, times = decode_natively(file, bands, seed, binary)
    through_graph = stream(graph(file), bands, seed)
    errors = relative_error(through_graph, reference), relative_error(natively, reference)
    return Row(steps, quality(reference, heard), *errors, times)


def table(counts: Sequence[int], seconds: float, folder: Path) -> tuple[str, list[Row]]:
    """A line per step count, in Markdown, and the figures themselves."""
    binary = native.program(SOURCE, "signal_stream")
    heard, bands = sound(seconds)
    own = quality(heard, heard)
    lines = [
        f"| {seconds:g} s of sound | bands differ by | periodicity | bend at seams | graph against eager "
        "| C++ against eager | a window of 24 ms in C++, p50 |",
        "|---|---|---|---|---|---|---|",
        f"| the sound itself | 0 dB | {own.periodicity:.3f} | {own.seams:.2f} | | | |",
    ]
    rows = []
    for steps, file in zip(counts, export_all(counts, folder), strict=True):
        rows.append(row := measure(steps, file, heard, bands, 0, binary))
        judged = row.quality
        lines.append(
            f"| {steps} steps | {judged.distance:.2f} dB | {judged.periodicity:.3f} | {judged.seams:.2f} "
            f"| {row.graph_error:.1e} | {row.native_error:.1e} | {row.times['decode_ms']['p50']:.2f} ms |"
        )
    return "\n".join(lines), rows
