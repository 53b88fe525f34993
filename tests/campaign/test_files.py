"""Damaged graphs, sidecars and weights: one line and exit code 2, or success; never a crash, a hang or a stray file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from campaign.mutations import mutate_bytes, mutate_graph, mutate_json
from campaign.zygote import Zygote

from samplegraph.models.digits import WEIGHTS
from samplegraph.runtime.manifest import METADATA_KEY

#: Cases in a test; several make it possible to spread them over processes.
CHUNK = 20
RUN = ["run", "bad.onnx", "--set", "class_labels=1", "--threads", "1", "--output", "out.npy"]
INSPECT = ["inspect", "bad.onnx"]
VERIFY = ["verify", "bad.onnx", "--model", "cli_models:tiny"]


def chunks(fast: int, all_of_them: int) -> pytest.MarkDecorator:
    """``first`` seed of each chunk; those past ``fast`` cases are slow."""
    starts = range(0, all_of_them, CHUNK)
    marks = [pytest.param(s, marks=[] if s < fast else [pytest.mark.slow]) for s in starts]
    return pytest.mark.parametrize("first", marks)


def survey(
    zygote: Zygote, first: int, folder: Path, damage: Callable[[int], None], commands: list[list[str]]
) -> list[str]:
    """What is wrong, over ``CHUNK`` seeds; each command sees each ``len(commands)``-th case."""
    wrong = []
    for seed in range(first, first + CHUNK):
        damage(seed)
        before = {p.name for p in folder.iterdir()}
        outcome = zygote.run(commands[seed % len(commands)], folder)
        left = {p.name for p in folder.iterdir()} - before
        blemish = outcome.blemish()
        if blemish is None and left - ({"out.npy"} if outcome.code == 0 else set()):
            blemish = f"left {left} behind"
        if blemish is not None:
            wrong.append(f"seed {seed}, {' '.join(commands[seed % len(commands)])}: {blemish}")
        (folder / "out.npy").unlink(missing_ok=True)
    return wrong


@chunks(60, 600)
def test_damaged_bytes_of_a_graph(first: int, zygote: Zygote, good: Path, tmp_path: Path) -> None:
    data = (good / "tiny-ddim-3.onnx").read_bytes()

    def damage(seed: int) -> None:
        (tmp_path / "bad.onnx").write_bytes(mutate_bytes(data, seed))

    assert survey(zygote, first, tmp_path, damage, [RUN, INSPECT, RUN, VERIFY]) == []


@chunks(60, 600)
def test_wrong_graphs(first: int, zygote: Zygote, good: Path, tmp_path: Path) -> None:
    """ONNX Runtime itself is handed these: it has to refuse them without ending the process."""
    data = (good / "tiny-ddim-3.onnx").read_bytes()

    def damage(seed: int) -> None:
        (tmp_path / "bad.onnx").write_bytes(mutate_graph(data, seed))

    assert survey(zygote, first, tmp_path, damage, [RUN, RUN, VERIFY]) == []


@chunks(60, 600)
def test_wrong_manifests(first: int, zygote: Zygote, good: Path, tmp_path: Path) -> None:
    """In a graph, where the metadata wins, and as a sidecar alone."""
    import onnx

    model = onnx.load(good / "tiny-ddim-3.onnx")
    (entry,) = (prop for prop in model.metadata_props if prop.key == METADATA_KEY)
    document = json.loads(entry.value)

    def damage(seed: int) -> None:
        text = mutate_json(document, seed)
        (tmp_path / "bad.json").write_text(text, encoding="utf-8", errors="replace")
        entry.value = text.encode(errors="replace")
        (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())

    alone = ["inspect", "bad.json"]
    plot = [*INSPECT, "--json"]
    assert survey(zygote, first, tmp_path, damage, [RUN, INSPECT, VERIFY, alone, plot]) == []


@chunks(20, 200)
def test_damaged_external_weights(first: int, zygote: Zygote, good: Path, tmp_path: Path) -> None:
    shutil.copy(good / "split.onnx", tmp_path / "bad.onnx")
    (weights,) = good.glob("weights-*.bin")
    data = weights.read_bytes()

    def damage(seed: int) -> None:
        (tmp_path / weights.name).write_bytes(mutate_bytes(data, seed))

    assert survey(zygote, first, tmp_path, damage, [RUN, INSPECT, VERIFY]) == []


@chunks(40, 200)
def test_damaged_safetensors(first: int, zygote: Zygote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a factory, as ``--model``. ``--steps 0`` ends those that load; one in forty goes on to the end."""
    data = WEIGHTS.read_bytes()
    size = int.from_bytes(data[:8], "little")
    wrong = []
    for seed in range(first, first + CHUNK):
        start = mutate_bytes(data[: 8 + size], seed) if seed % 4 else data[: 8 + size]
        rest = data[8 + size :] if seed % 4 else mutate_bytes(data[8 + size :], seed)
        (tmp_path / "bad.safetensors").write_bytes(start + rest)
        steps = "1" if seed % 40 == 0 else "0"
        export = ["export", "--model", "cli_models:from_file", "--scheduler", "ddim", "--steps", steps]
        outcome = zygote.run(export, tmp_path, SAMPLEGRAPH_TEST_WEIGHTS="bad.safetensors")
        blemish = outcome.blemish()
        if blemish is None and outcome.code and (tmp_path / "build").exists():
            blemish = "left files behind"
        shutil.rmtree(tmp_path / "build", ignore_errors=True)
        if blemish is not None:
            wrong.append(f"seed {seed}: {blemish}")
    assert wrong == []
