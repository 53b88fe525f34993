"""Compiled graphs against the eager sampler: every scheduler, guidance form, batch and kind of denoiser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from networks import TinyUNet, seeded
from torch import nn

from samplegraph.export import Captures, ExportError, Program, VerificationError, compile
from samplegraph.export.verification.examples import example_inputs, run_eager
from samplegraph.export.verification.probe import run_graph
from samplegraph.models import Sampler
from samplegraph.runtime import Engine, read_manifest
from samplegraph.schedulers import create, names

GUIDANCE = {"input": "input", "baked": 2.5, "absent": None}
FORBIDDEN = {"Loop", "If", "Scan", "RandomNormal", "RandomNormalLike", "RandomUniform", "Multinomial"}


def check_graph(path: Path, tensors: list[torch.Tensor]) -> onnx.ModelProto:
    """The standing rules for a graph file; each of ``tensors`` appears in it once."""
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path)
    onnx.shape_inference.infer_shapes(model, strict_mode=True)
    assert {o.domain for o in model.opset_import} == {""}
    assert {n.domain for n in model.graph.node} <= {""}
    assert not FORBIDDEN & {n.op_type for n in model.graph.node}
    assert not model.functions
    assert [o.name for o in model.graph.output] == ["sample"]
    stored = [onnx.numpy_helper.to_array(t, str(path.parent)) for t in model.graph.initializer]
    for tensor in tensors:
        same = [a for a in stored if a.shape == tuple(tensor.shape) and np.array_equal(a, tensor.numpy())]
        assert len(same) <= 1
    return model


SLOW = pytest.mark.slow
FORMS = [("input", 1), ("baked", 3), ("absent", 1)]


@pytest.mark.parametrize(
    ("guidance", "batch"),
    [*FORMS, *(pytest.param(g, b, marks=SLOW) for g in GUIDANCE for b in (1, 3) if (g, b) not in FORMS)],
)
@pytest.mark.parametrize("name", names())
def test_graph_equals_eager(
    name: str,
    guidance: str,
    batch: int,
    captures: Captures,
    denoiser_of: Callable[[str], nn.Module],
    tmp_path: Path,
) -> None:
    model = denoiser_of(name)
    sampler = Sampler(model, create(name, 8), GUIDANCE[guidance])
    program = compile(sampler, batch=batch, conditions={"class_labels": list(range(batch))}, captures=captures)
    path = program.save(tmp_path / "x.onnx")
    errors = program.verify(seed=1).errors
    assert len(errors) == 8
    assert max(errors) <= 1e-5
    check_graph(path, list(model.parameters()))


@pytest.mark.parametrize("denoiser", ["tiny", "tinydit", "attention", "signal"])
@pytest.mark.parametrize("name", ["ddim", "heun", "dpm_multistep", "euler_ancestral"])
def test_symbolic_batch(
    name: str, denoiser: str, captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path
) -> None:
    sampler = Sampler(denoisers[denoiser], create(name, 4))
    program = compile(sampler, *_examples(denoiser), batch="dynamic", captures=captures)
    path = program.save(tmp_path / "x.onnx")
    check_graph(path, list(denoisers[denoiser].parameters()))
    inputs = example_inputs(sampler, program.signature, seed=3)
    for rows in (1, 2, 5):
        given = {k: _rows(v, rows, axis=1 if k == "step_noise" else 0) for k, v in inputs.items()}
        expected, found = run_eager(sampler, given), run_graph(path, given)
        assert found.shape == expected.shape == (rows, *program.signature.sample_shape)
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("denoiser", ["tinydit", "attention", "signal"])
@pytest.mark.parametrize("guidance", ["input", "absent"])
def test_kinds_of_denoiser(
    denoiser: str, guidance: str, captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path
) -> None:
    sampler = Sampler(denoisers[denoiser], create("dpm_multistep", 6), GUIDANCE[guidance])
    program = compile(sampler, *_examples(denoiser), captures=captures)
    assert program.verify(seed=2).error <= 1e-5
    check_graph(program.save(tmp_path / "x.onnx"), list(denoisers[denoiser].parameters()))


def test_a_sampler_that_never_asks_the_model_is_refused(denoisers: dict[str, nn.Module]) -> None:
    with pytest.raises(ExportError, match="steps=1 of ipndm never asks the model; give more steps"):
        compile(Sampler(denoisers["tiny"], create("ipndm", 1)))


def test_an_ill_conditioned_sampler_is_said_to_be_one(captures: Captures, denoisers: dict[str, nn.Module]) -> None:
    """Two Euler steps from sigma 157 magnify the last bits of the model's output."""
    program = compile(Sampler(denoisers["tiny"], create("euler", 2)), captures=captures)
    with pytest.raises(VerificationError, match=r"ill-conditioned.* take more steps"):
        program.verify(tolerance=1e-9)


def test_tied_weights_are_stored_once(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(1, 1, 3, padding=1)
            self.b = nn.Conv2d(1, 1, 3, padding=1)
            self.b.weight = self.a.weight

        def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.b(torch.tanh(self.a(sample)))
            return out

    model = seeded(Tied())
    path = compile(Sampler(model, create("euler", 3)), (1, 1, 8, 8)).save(tmp_path / "x.onnx")
    stored = [onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer]
    assert sum(a.shape == (1, 1, 3, 3) for a in stored) == 1


def test_two_exports_are_byte_identical(captures: Captures, tmp_path: Path) -> None:
    first, second = (_digits_like(tmp_path / name, Captures()) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert first.with_name("x.onnx.json").read_bytes() == second.with_name("x.onnx.json").read_bytes()


def test_external_weights_are_shared_by_content(captures: Captures, tmp_path: Path) -> None:
    model = seeded(TinyUNet())
    paths = []
    for steps in (2, 3):
        program = compile(Sampler(model, create("ddim", steps)), weights="external", captures=captures)
        assert program.verify().error <= 1e-5
        paths.append(program.save(tmp_path / f"{program.manifest.name}.onnx"))
    files = [p.name for p in tmp_path.iterdir() if p.suffix == ".bin"]
    assert files == [read_manifest(paths[0]).weights.file]
    check_graph(paths[0], list(model.parameters()))
    assert Engine(paths[1])(seed=0, class_labels=[1]).shape == (1, 2, 8, 8)


def test_a_sample_does_not_depend_on_its_batch(
    captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path
) -> None:
    engines = []
    for batch in (1, 3):
        sampler = Sampler(denoisers["tiny"], create("euler_ancestral", 5))
        engines.append(Engine(compile(sampler, batch=batch, captures=captures).save(tmp_path / f"b{batch}.onnx")))
    seeds, labels = [7, 8, 9, 10], [0, 1, 2, 3]
    alone, together = (engine(seeds, class_labels=labels, guidance_scale=2.0) for engine in engines)
    assert np.abs(alone - together).max() <= 1e-6 * np.abs(alone).max()
    assert np.array_equal(alone, engines[0](seeds, class_labels=labels, guidance_scale=2.0))


def test_nothing_depends_on_the_timestep_alone(captures: Captures, denoisers: dict[str, nn.Module]) -> None:
    """The time path is gone, class modulation is evaluated once for all steps, K and V once in all."""
    program = compile(Sampler(denoisers["tinydit"], create("ddim", 10)), captures=captures)
    ops = Counter(node.op_type for node in program.model.graph)
    assert ops["Sin"] == ops["Cos"] == 0
    assert ops["Gemm"] == 2  # one modulation per block
    program = compile(Sampler(denoisers["attention"], create("ddim", 10)), *_examples("attention"), captures=captures)
    readers = Counter(
        use.node.op_type
        for value in program.weights
        if value.name and value.const_value is not None and tuple(value.const_value.shape) in ((6, 4), (4, 6))
        for use in value.uses()
    )
    assert readers["MatMul"] == 2  # K and V of all ten steps


def _examples(denoiser: str) -> tuple[tuple[int, ...] | None, dict[str, object]]:
    if denoiser == "attention":
        return (1, 4, 8, 8), {"encoder_hidden_states": torch.linspace(-1, 1, 30).reshape(1, 5, 6)}
    return None, {}


def _rows(value: torch.Tensor, rows: int, axis: int) -> torch.Tensor:
    return value if value.ndim == 0 else torch.cat([value] * 3, dim=axis).narrow(axis, 0, rows)


def _digits_like(folder: Path, captures: Captures) -> Path:
    program: Program = compile(Sampler(seeded(TinyUNet()), create("heun", 4)), captures=captures)
    return program.save(folder / "x.onnx")
