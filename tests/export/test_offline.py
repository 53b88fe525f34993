"""Graphs optimised offline: what the plain ones compute, over the same weights, loaded as they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from networks import seeded, waves
from optimized_manifest import with_optimized
from torch import Tensor, nn

from samplegraph.export import Captures, ExportError, Program, VerificationError, compile
from samplegraph.export.cli import main
from samplegraph.export.offline.optimise import TARGETS, optimize
from samplegraph.models import ModelSpec, Sampler
from samplegraph.runtime import Engine, InputError, optimized, read_manifest
from samplegraph.schedulers import create, names

#: The others are marked slow.
QUICK = ("ddim", "euler_ancestral", "repaint")
SCHEDULERS = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names()]


class Wide(nn.Module):
    """Convolutions of whole blocks of channels, whose weights the optimiser makes anew, and a product that it keeps.

    Of the first one it adds each step's shift to the bias.
    """

    spec = ModelSpec(name="wide", sample_shape=(4, 8, 8), prediction_type="epsilon")

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.time = nn.Linear(16, width)
        self.first = nn.Conv2d(4, width, 3, padding=1)
        self.mix = nn.Linear(width, width)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        h = torch.relu(self.first(sample) + self.time(waves(timestep))[:, :, None, None])
        h = h + self.mix(h.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(h.shape)
        out: Tensor = 0.9 * sample + 0.2 * torch.tanh(self.last(torch.relu(self.middle(h))))
        return out


@pytest.fixture(scope="module")
def wide() -> nn.Module:
    return seeded(Wide())


def saved(network: nn.Module, captures: Captures, path: Path, steps: int = 3, scheduler: str = "ddim") -> Program:
    plain = {"clip_sample": False} if scheduler == "ddim" else {}
    sampler = Sampler(network, create(scheduler, steps, **plain))
    program = compile(sampler, weights="external", captures=captures, name=path.stem)
    program.save(path)
    return program


def locations(path: Path) -> dict[str, str]:
    """File by initializer, of those that lie beside the graph."""
    tensors = onnx.load(path, load_external_data=False).graph.initializer
    return {t.name: e.value for t in tensors for e in t.external_data if e.key == "location"}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_optimised_equals_plain(name: str, captures: Captures, denoiser_of: Any, tmp_path: Path) -> None:
    sampler = Sampler(denoiser_of(name), create(name, 4))
    plain = compile(sampler, conditions={"class_labels": [3]}, captures=captures).save(tmp_path / "x.onnx")
    given: dict[str, Any] = {"class_labels": [3]}
    for role in ("image", "mask"):
        if tensor := read_manifest(plain).input(role):
            given[tensor.name] = np.ones([int(n) for n in tensor.shape], tensor.dtype)
    found = [Engine(path, threads=1)(seed=0, **given) for path in (plain, optimize(plain))]
    assert np.abs(found[0] - found[1]).max() <= 1e-5 * np.abs(found[0]).max()


@pytest.mark.parametrize("target", TARGETS)
def test_weights_stay_where_they_are(target: str, wide: nn.Module, captures: Captures, tmp_path: Path) -> None:
    program = saved(wide, captures, tmp_path / "x.onnx")
    file = program.manifest.weights.file
    path = program.optimize(tmp_path / "x.onnx", target)
    made = read_manifest(path).optimized_for
    assert made is not None
    before = locations(tmp_path / "x.onnx")
    kept = {name for name, where in locations(path).items() if where == file}
    assert kept
    assert kept <= before.keys()
    assert target == "cpu" or kept == before.keys()
    assert set(locations(path).values()) == {f for f in (file, made.file) if f}
    anew = made.bytes if made.file else 0
    assert anew < 2 * sum(p.numel() for p in wide.middle.parameters()) * 4
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f for f in ("x.onnx", "x.onnx.json", path.name, f"{path.name}.json", file, made.file) if f
    )
    if target == "any-cpu":
        assert made.file is None
        assert not made.channel_block


def test_another_number_of_steps_adds_no_weights(wide: nn.Module, captures: Captures, tmp_path: Path) -> None:
    saved(wide, captures, tmp_path / "x.onnx")
    optimize(tmp_path / "x.onnx")
    files = {p.name for p in tmp_path.glob("*.bin")}
    saved(wide, captures, tmp_path / "y.onnx", 5, "euler")
    optimize(tmp_path / "y.onnx")
    assert {p.name for p in tmp_path.glob("*.bin")} == files


def test_the_same_source_gives_the_same_bytes(wide: nn.Module, captures: Captures, tmp_path: Path) -> None:
    saved(wide, captures, tmp_path / "x.onnx")
    first = {p: p.read_bytes() for p in (optimize(tmp_path / "x.onnx"), *tmp_path.glob("*.bin"))}
    optimize(tmp_path / "x.onnx")
    assert first == {p: p.read_bytes() for p in first}


def test_it_is_loaded_as_it_stands(
    wide: nn.Module, captures: Captures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(wide, captures, tmp_path / "x.onnx")
    path = optimize(tmp_path / "x.onnx", prepack=False)
    seen: list[Any] = []

    def session(source: Any, options: Any, *rest: Any, made: Any = ort.InferenceSession, **others: Any) -> Any:
        if source == str(path):
            seen.append(options)
        return made(source, options, *rest, **others)

    monkeypatch.setattr(ort, "InferenceSession", session)
    Engine(path)
    assert seen[0].graph_optimization_level == ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert seen[0].get_session_config_entry(optimized.PREPACKING_OFF) == "1"


def test_verify_is_against_eager(wide: nn.Module, captures: Captures, tmp_path: Path) -> None:
    program = saved(wide, captures, tmp_path / "x.onnx")
    before = {p.name for p in tmp_path.iterdir()}
    with torch.no_grad():
        wide.last.bias += 1
    try:
        with pytest.raises(VerificationError, match="differs from the eager sampler"):
            program.optimize(tmp_path / "x.onnx")
        assert {p.name for p in tmp_path.iterdir()} == before
        program.optimize(tmp_path / "x.onnx", verified=False)
    finally:
        with torch.no_grad():
            wide.last.bias -= 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"onnxruntime": "99.1.0"}, "99.1.0 optimised it and"),
        ({"channel_block": 4}, "for CPUs with blocks of 4 channels"),
        ({"provider": "cuda"}, "was optimised for cuda"),
        ({"file": "missing.bin"}, "weights file 'missing.bin' is missing"),
    ],
)
def test_where_it_does_not_fit_it_is_refused(
    changes: dict[str, Any], words: str, wide: nn.Module, captures: Captures, tmp_path: Path
) -> None:
    saved(wide, captures, tmp_path / "x.onnx")
    path = with_optimized(optimize(tmp_path / "x.onnx"), **changes)
    with pytest.raises(InputError, match=words):
        Engine(path)


def test_other_providers_are_refused(wide: nn.Module, captures: Captures, tmp_path: Path) -> None:
    saved(wide, captures, tmp_path / "x.onnx")
    path = optimize(tmp_path / "x.onnx")
    others = [p for p in ort.get_available_providers() if p != "CPUExecutionProvider"]
    if not others:
        pytest.skip("this ONNX Runtime has the CPU provider only")
    with pytest.raises(InputError, match="cannot run with providers"):
        Engine(path, providers=others[0])


def test_sources_that_cannot_be_optimised(wide: nn.Module, captures: Captures, tmp_path: Path) -> None:
    saved(wide, captures, tmp_path / "x.onnx")
    path = optimize(tmp_path / "x.onnx")
    with pytest.raises(ExportError, match="optimised already"):
        optimize(path)
    with pytest.raises(ValueError, match="optimize_for"):
        optimize(tmp_path / "x.onnx", "gpu")


@pytest.mark.usefixtures("quick_export")
def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ("export", "--scheduler", "ddim", "--steps", "2", "--output", str(tmp_path))
    assert main((*line, "--optimize-for", "cpu", "--no-prepack"), program="samplegraph") == 0
    made = read_manifest(tmp_path / "digits-ddim-2-cpu.onnx")
    assert made.optimized_for is not None
    assert not made.optimized_for.prepack
    assert main(("verify", str(tmp_path / "digits-ddim-2-cpu.onnx")), program="samplegraph") == 0
    assert main(("inspect", str(tmp_path / "digits-ddim-2-cpu.onnx")), program="samplegraph") == 0
    assert "not packed at load" in capsys.readouterr().out
    assert main((*line, "--optimize-for", "gpu"), program="samplegraph") == 2
    assert "choose one of cpu, any-cpu" in capsys.readouterr().err
    assert main((*line, "--prepack"), program="samplegraph") == 2
