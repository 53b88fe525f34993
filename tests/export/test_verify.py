"""Verification after every step: it names the step where a graph goes astray."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from torch import nn

from samplegraph.export import Captures, VerificationError, compile
from samplegraph.export.cli import main
from samplegraph.export.cli.steps import ranges
from samplegraph.export.verification.comparison import Verification, cosines_of, errors_of
from samplegraph.export.verification.verify import verify
from samplegraph.models import Sampler
from samplegraph.schedulers import create


def scaled_after(path: Path, name: str, factor: float) -> Path:
    """A copy of the graph that multiplies the value of that name."""
    model = onnx.load(path)
    nodes = list(model.graph.node)
    at = next(k for k, node in enumerate(nodes) if name in node.output)
    nodes[at].output[list(nodes[at].output).index(name)] = "before"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(factor), "factor"))
    nodes.insert(at + 1, onnx.helper.make_node("Mul", ["before", "factor"], [name]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    changed = path.with_name("changed.onnx")
    onnx.save(model, changed)
    return changed


@pytest.mark.parametrize("name", ["dpm_multistep", "score_sde_ve"])
def test_the_first_step_astray_is_named(
    name: str, captures: Captures, denoiser_of: Callable[[str], nn.Module], tmp_path: Path
) -> None:
    """One scheduler that is lowered and one that is traced."""
    sampler = Sampler(denoiser_of(name), create(name, 4))
    program = compile(sampler, captures=captures)
    path, visited = program.save(tmp_path / "x.onnx"), program.manifest.tables.visited
    assert verify(path, sampler, program.signature, visited).first_divergent is None
    for step in (0, 2, 3):
        changed = scaled_after(path, visited[step], 1.01)
        with pytest.raises(VerificationError, match=rf"step {step + 1} of 4 \(t=.*\) is the first beyond 1e-05"):
            verify(changed, sampler, program.signature, visited)
        result = verify(changed, sampler, program.signature, visited, tolerance=1.0)
        assert max(result.errors[:step], default=0.0) <= 1e-5
        assert result.errors[step] == pytest.approx(0.01, rel=0.01)


def test_steps_are_measured_from_external_weights_too(
    captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path
) -> None:
    sampler = Sampler(denoisers["tiny"], create("ddim", 3))
    program = compile(sampler, weights="external", captures=captures)
    path = program.save(tmp_path / "x.onnx")
    assert len(verify(path, sampler, program.signature, program.manifest.tables.visited).errors) == 3


def test_a_graph_without_names_is_compared_at_its_end(
    captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path
) -> None:
    sampler = Sampler(denoisers["tiny"], create("ddim", 3))
    program = compile(sampler, captures=captures)
    result = verify(program.save(tmp_path / "x.onnx"), sampler, program.signature)
    assert (len(result.errors), result.timesteps) == (1, (0.0,))
    assert not result.divergence()


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
@pytest.mark.parametrize("limits", [{"tolerance": 1e-5}, {"least_cosine": 0.999}])
def test_infinity_and_nan_diverge(wrong: float, limits: dict[str, float]) -> None:
    ones = [np.ones((1, 2), np.float32)] * 3
    found = [ones[0], wrong * ones[1], ones[2]]
    result = Verification(errors_of(found, ones), cosines_of(found, ones), (3.0, 2.0, 1.0), 1, **limits)
    assert result.first_divergent == 1
    assert result.passed == ("tolerance" in limits)


def test_a_further_run_counts_too() -> None:
    result = Verification((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), 1, None, 0.999, {"eager bf16": (0.99, 1.0)})
    assert not result.passed
    assert result.divergence() == "step 1 of 2 (t=1) is the first below a cosine of 0.999"


@pytest.mark.parametrize("count", [1, 2, 12, 13, 25, 50, 1000])
def test_ranges_hold_every_step_once(count: int) -> None:
    found = list(ranges(count))
    assert [i for first, last in found for i in range(first, last + 1)] == list(range(count))
    assert len(found) == count if count <= 12 else len(found) <= 12


@pytest.mark.usefixtures("quick_export")
def test_verify_shows_every_step(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = ["--model", "cli_models:tiny"]
    assert main(["export", "--scheduler", "ddim", "--steps", "4", *tiny], program="samplegraph") == 0
    assert "worst after step" in capsys.readouterr().out
    assert main(["verify", "build/tiny-ddim-4.onnx", *tiny], program="samplegraph") == 0
    out = capsys.readouterr().out
    assert [t for t in ("750", "500", "250") if t in out] == ["750", "500", "250"]
    assert "0.99999" in out or "1.0000000" in out
