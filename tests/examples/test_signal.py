"""The decoder: its stream through torch, the graph and C++, chunk by chunk, and what it sounds like against steps."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from examples import native
from examples.signal.bands import BANDS, FRAME, bands_of
from examples.signal.evaluate import decode_natively, export_all, relative_error, sampler, sound
from examples.signal.quality import Quality, quality
from examples.signal.sound import sounds
from examples.signal.stream import HOP, HOP_FRAMES, Floats, eager, graph, stream

SECONDS = 2.0
STEPS = (2, 6)
SEED = 5
Program = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def heard() -> tuple[Floats, Floats]:
    """A sound and its bands."""
    return sound(SECONDS)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """By step count, from one command."""
    return dict(zip(STEPS, export_all(STEPS, tmp_path_factory.mktemp("signal")), strict=True))


@pytest.fixture(scope="module")
def reference(heard: tuple[Floats, Floats]) -> dict[int, Floats]:
    """The stream through eager torch, by step count."""
    return {steps: stream(eager(sampler(steps)), heard[1], SEED) for steps in STEPS}


@pytest.fixture(scope="module")
def judged(heard: tuple[Floats, Floats], reference: dict[int, Floats]) -> dict[int, Quality]:
    return {steps: quality(decoded, heard[0]) for steps, decoded in reference.items()}


def test_the_step_counts_share_one_weights_file(graphs: dict[int, Path]) -> None:
    folder = graphs[STEPS[0]].parent
    (weights,) = folder.glob("*.bin")
    assert weights.stat().st_size > 400_000
    assert all(file.stat().st_size < weights.stat().st_size for file in graphs.values())


@pytest.mark.parametrize("steps", STEPS)
def test_the_stream_through_the_graph_is_the_eager_one(
    steps: int, heard: tuple[Floats, Floats], graphs: dict[int, Path], reference: dict[int, Floats]
) -> None:
    assert relative_error(stream(graph(graphs[steps]), heard[1], SEED), reference[steps]) <= 1e-5


@pytest.mark.parametrize("steps", STEPS)
def test_the_stream_through_cpp_is_the_eager_one(
    steps: int, heard: tuple[Floats, Floats], graphs: dict[int, Path], reference: dict[int, Floats], program: Program
) -> None:
    decoded, times = decode_natively(graphs[steps], heard[1], SEED, program("signal", "signal_stream"))
    assert decoded.shape == reference[steps].shape
    assert relative_error(decoded, reference[steps]) <= 1e-5
    assert times["windows"] == times["decode_ms"]["count"] == -(-len(heard[1]) // HOP_FRAMES)


def test_samples_come_out_while_frames_go_in(
    heard: tuple[Floats, Floats], graphs: dict[int, Path], reference: dict[int, Floats], program: Program
) -> None:
    """A window leaves as soon as one frame beyond its own is there, before the input ends."""
    command = [program("signal", "signal_stream"), graphs[2], "--seed", str(SEED)]
    bands = heard[1].astype("<f4")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=native.environment()
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        out, sent = b"", 0
        for window in range(4):
            upto = HOP_FRAMES * (window + 1) + 1
            running.stdin.write(bands[sent:upto].tobytes())
            running.stdin.flush()
            sent = upto
            out += running.stdout.read(4 * (HOP - (FRAME if window == 0 else 0)))
        assert np.abs(np.frombuffer(out, "<f4") - reference[2][: len(out) // 4]).max() <= 1e-5
        running.stdin.close()
        assert len(running.stdout.read()) > 0


@pytest.mark.parametrize("frames", [0, 3, 4])
def test_any_number_of_frames(
    frames: int, graphs: dict[int, Path], heard: tuple[Floats, Floats], program: Program
) -> None:
    bands = heard[1][20 : 20 + frames]
    decoded, _ = decode_natively(graphs[2], bands, 0, program("signal", "signal_stream"))
    assert np.abs(decoded - stream(graph(graphs[2]), bands, 0)).max(initial=0) <= 1e-6
    assert len(decoded) == HOP * -(-frames // HOP_FRAMES)


def test_a_torn_frame_is_refused(graphs: dict[int, Path], program: Program) -> None:
    command = [program("signal", "signal_stream"), graphs[2]]
    torn = bytes(4 * BANDS + 4)
    done = subprocess.run(command, input=torn, capture_output=True, env=native.environment(), check=False)
    assert done.returncode == 2
    assert done.stderr == b"error: the input ends within a frame of 16 bands\n"


def test_more_steps_sound_better(judged: dict[int, Quality], heard: tuple[Floats, Floats]) -> None:
    own = quality(heard[0], heard[0])
    assert judged[6].distance < judged[2].distance
    assert abs(judged[6].periodicity - own.periodicity) < abs(judged[2].periodicity - own.periodicity)


def test_the_stream_has_the_bands_that_were_asked_for(judged: dict[int, Quality], heard: tuple[Floats, Floats]) -> None:
    """Far closer than another sound, and without bends where windows meet."""
    another = quality(sound(SECONDS, seed=7)[0], heard[0])
    assert judged[6].distance < another.distance / 3
    assert judged[6].seams < 1.5


def test_bands_are_silent_in_silence_and_move_with_the_sound() -> None:
    assert bands_of(torch.zeros(4 * FRAME)).abs().max() == 0
    clip = sounds(1, 40 * FRAME, 3)[0]
    moved = torch.cat([torch.zeros(3 * FRAME), clip])
    assert torch.allclose(bands_of(moved)[6:-2], bands_of(clip)[3:-2], atol=1e-6)


def test_a_tone_is_periodic_and_noise_is_not() -> None:
    time = np.arange(100 * FRAME) / 8000
    tone = np.sin(2 * np.pi * 200 * time).astype(np.float32)
    noise = np.random.default_rng(0).normal(size=len(time)).astype(np.float32)
    assert quality(tone, tone).periodicity > 0.95
    assert quality(noise, noise).periodicity < 0.6


def test_all_trained_weights_together_stay_small() -> None:
    files = [*native.ROOT.glob("models/*/*.safetensors"), *native.ROOT.glob("examples/*/*.safetensors")]
    assert len(files) >= 5
    assert sum(file.stat().st_size for file in files) < 5_000_000
    assert all(file.stat().st_size < 1_000_000 for file in files if file.is_relative_to(native.ROOT / "examples"))


def test_the_report_is_json(graphs: dict[int, Path], heard: tuple[Floats, Floats], program: Program) -> None:
    _, said = native.call(program("signal", "signal_stream"), graphs[2], stdin=heard[1][:9].astype("<f4").tobytes())
    assert json.loads(said)["window_ms"] == pytest.approx(1000 * HOP / 8000)
