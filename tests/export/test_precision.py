"""The network in float16 and bfloat16 inside a float32 sampler."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from networks import Rms, seeded
from onnx import TensorProto
from torch import nn

from samplegraph.export import Captures, ExportError, compile
from samplegraph.export.cli import main
from samplegraph.export.verification.rebuild import rebuild
from samplegraph.export.verification.verify import verify
from samplegraph.models import Sampler
from samplegraph.runtime import Engine, InputError, read_manifest
from samplegraph.schedulers import create

KINDS = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
SAMPLER_VALUE = re.compile(r"h\d+$")


def types_of(path: Path) -> dict[str, int]:
    """Element types of all values, after the standing checks."""
    onnx.checker.check_model(str(path), full_check=True)
    graph = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True, check_type=True).graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
    return types | {t.name: t.data_type for t in graph.initializer}


def products(path: Path, types: dict[str, int]) -> dict[str, int]:
    """Element types of what convolutions and matrix products read, by node."""
    nodes = [n for n in onnx.load(path).graph.node if n.op_type in ("Conv", "MatMul", "Gemm")]
    return {n.name: types[n.input[0]] for n in nodes}


@pytest.mark.parametrize(
    ("name", "denoiser", "batch"),
    [
        ("ddim", "tiny", 1),
        ("dpm_multistep", "tinydit", "dynamic"),
        ("euler_ancestral", "tiny", 2),
        ("unipc", "signal", 1),
        ("repaint", "tiny", 1),
    ],
)
@pytest.mark.parametrize("precision", KINDS)
def test_the_network_alone_is_narrow(
    name: str,
    denoiser: str,
    batch: int | str,
    precision: str,
    captures: Captures,
    denoisers: dict[str, nn.Module],
    tmp_path: Path,
) -> None:
    sampler = Sampler(denoisers[denoiser], create(name, 3))
    program = compile(sampler, batch=batch, captures=captures, precision=precision)
    path = program.save(tmp_path / "x.onnx")
    types, visited = types_of(path), program.manifest.tables.visited
    around = {types[v] for v in types if v in visited or SAMPLER_VALUE.match(v)}
    assert around <= {TensorProto.FLOAT, TensorProto.INT64}
    assert set(products(path, types).values()) == {KINDS[precision]}
    assert program.manifest.name.endswith(f"-{precision}")
    result = program.verify(seed=1)
    assert len(result.cosines) == 3
    assert result.cosine >= 0.999
    assert result.others.keys() == {"all roundings" if precision == "fp16" else "eager bf16"}


def test_weights_take_half_the_bytes(captures: Captures, denoisers: dict[str, nn.Module]) -> None:
    sampler = Sampler(denoisers["tinydit"], create("ddim", 2))
    wide, half = (compile(sampler, captures=captures, precision=p) for p in ("fp32", "fp16"))
    assert half.manifest.weights.bytes <= 0.51 * wide.manifest.weights.bytes
    assert half.manifest.weights.sha256 != wide.manifest.weights.sha256
    assert compile(sampler, captures=captures).manifest == wide.manifest


@pytest.mark.parametrize(
    ("pattern", "kept"), [("Conv", 2), ("last", 1), ("first.weight", 1), ("la?t", 1), ("node_conv2d", 1), ("*", 2)]
)
def test_what_is_kept_is_float32(
    pattern: str, kept: int, captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path
) -> None:
    """Of the two convolutions of ``tiny``: by operator, module, weight, wildcard and node."""
    sampler = Sampler(denoisers["tiny"], create("ddim", 1))
    program = compile(sampler, captures=captures, precision="fp16", keep_fp32=[pattern])
    path = program.save(tmp_path / "x.onnx")
    types = types_of(path)
    convolutions = [types[n.input[0]] for n in onnx.load(path).graph.node if n.op_type == "Conv"]
    assert sorted(convolutions) == [TensorProto.FLOAT] * kept + [TensorProto.FLOAT16] * (2 - kept)
    assert program.manifest.keep_fp32 == (pattern,)
    assert program.verify().cosine >= 0.999


def test_squares_of_large_values_do_not_overflow() -> None:
    """ONNX Runtime's CPU hides the overflow; with all roundings written out it would show."""
    sampler = Sampler(seeded(Rms(300.0)), create("ddim", 2))
    result = compile(sampler, precision="fp16").verify()
    assert min(result.others["all roundings"]) >= 0.9999


def test_two_exports_are_byte_identical(captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path) -> None:
    sampler = Sampler(denoisers["tiny"], create("ddim", 3))
    paths = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    for path in paths:
        compile(sampler, captures=captures, precision="bf16").save(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_file_is_verified_again(captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path) -> None:
    program = compile(Sampler(denoisers["tiny"], create("ddim", 3)), captures=captures, precision="fp16")
    path = program.save(tmp_path / "x.onnx")
    manifest = read_manifest(path)
    sampler, sig = rebuild(manifest, denoisers["tiny"])
    assert verify(path, sampler, sig, manifest.tables.visited, precision=manifest.precision).cosine >= 0.999
    assert Engine(path)(seed=0, class_labels=[1]).dtype == np.float32


def test_a_provider_without_bfloat16_is_named(
    captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path
) -> None:
    program = compile(Sampler(denoisers["tiny"], create("ddim", 2)), captures=captures, precision="bf16")
    path = program.save(tmp_path / "x.onnx")
    with pytest.raises(InputError, match="providers=cpu cannot run a bfloat16 network, which takes one of cuda"):
        Engine(path)


class Scale(nn.Module):
    """One large weight; ``dtype`` is the parameters'."""

    def __init__(self, largest: float, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, largest], dtype=dtype), requires_grad=False)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        return torch.tanh(sample * self.weight)


@pytest.mark.parametrize(
    ("weight", "dtype", "options", "message"),
    [
        (7e4, torch.float32, {"precision": "fp16"}, r"weight weight holds 7e\+04, and float16 ends at 65504; keep it"),
        (1.0, torch.float64, {"precision": "fp16"}, "needs a float32 network, and this one has float64 parameters"),
        (1.0, torch.float16, {"precision": "bf16"}, "needs a float32 network, and this one has float16 parameters"),
        (1.0, torch.float32, {"precision": "half"}, "'half' is not known; choose one of fp32, fp16, bf16, int8"),
        (1.0, torch.float32, {"keep_fp32": ["Mul"]}, "keep_fp32='Mul' keeps nothing at precision=fp32"),
        (1.0, torch.float32, {"precision": "fp16", "keep_fp32": ["Tahn"]}, "keep_fp32='Tahn' names nothing.*'Tanh'"),
    ],
)
def test_what_cannot_be(weight: float, dtype: torch.dtype, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile(Sampler(Scale(weight, dtype), create("ddim", 2)), (1, 2), **options)  # type: ignore[arg-type]


def test_a_weight_beyond_float16_can_be_kept() -> None:
    program = compile(Sampler(Scale(7e4), create("ddim", 2)), (1, 2), precision="fp16", keep_fp32=["weight"])
    assert program.verify().cosine >= 0.999


def test_small_weights_are_noted() -> None:
    program = compile(Sampler(Scale(1e-9), create("ddim", 2)), (1, 2), precision="fp16")
    assert program.note == "1 of 2 weights are below fp16's normal range, 1 of them become 0"


def test_tokens_stay_float32(captures: Captures, denoisers: dict[str, nn.Module]) -> None:
    with pytest.raises(ExportError, match=r"precision='fp16' is not for a model over tokens.*use precision=fp32"):
        compile(Sampler(denoisers["tokens"], create("vq_diffusion", 3)), captures=captures, precision="fp16")


def test_a_float16_network_is_left_as_it_is() -> None:
    program = compile(Sampler(Scale(1.0, torch.float16), create("ddim", 2)), (1, 2))
    assert program.manifest.precision == "fp16"
    assert not program.manifest.name.endswith("fp16")
    assert program.verify().cosine >= 0.999


@pytest.mark.usefixtures("quick_export")
def test_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = ["--model", "cli_models:tiny"]
    options = ["--precision", "fp16", "--keep-fp32", "last", "--keep-fp32", "norm"]
    assert main(["export", "--scheduler", "ddim", "--steps", "4", *tiny, *options], program="samplegraph") == 0
    assert "all roundings" in capsys.readouterr().out
    path = "build/tiny-ddim-4-fp16.onnx"
    assert main(["verify", path, *tiny], program="samplegraph") == 0
    assert "all roundings" in capsys.readouterr().out
    assert main(["inspect", path], program="samplegraph") == 0
    assert "fp16, but last, norm in fp32" in capsys.readouterr().out


def test_calls_of_one_branch_share_the_narrow_weights(captures: Captures, denoisers: dict[str, nn.Module]) -> None:
    """A guidance interval takes a second capture of the network."""
    whole, part = (
        compile(
            Sampler(denoisers["tinydit"], create("ddim", 2), guidance_interval=interval),
            captures=captures,
            precision="fp16",
        )
        for interval in (None, "steps:0,0.5")
    )
    assert part.manifest.weights == whole.manifest.weights
    assert part.verify().cosine >= 0.999


def test_a_narrow_graph_can_be_optimised_offline_unless_the_cpu_lacks_its_type(
    captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path
) -> None:
    sampler = Sampler(denoisers["tiny"], create("ddim", 2))
    half = compile(sampler, captures=captures, precision="fp16")
    optimized = half.optimize(half.save(tmp_path / "half.onnx"))
    assert Engine(optimized)(seed=0, class_labels=[1]).shape == (1, 2, 8, 8)
    brain = compile(sampler, captures=captures, precision="bf16")
    with pytest.raises(ExportError, match="is bfloat16, which ONNX Runtime's CPU provider lacks"):
        brain.optimize(brain.save(tmp_path / "brain.onnx"))


@pytest.mark.parametrize("layout", ["chunked:2", "step", "loop"])
def test_all_layouts_round_alike(layout: str, captures: Captures, denoisers: dict[str, nn.Module]) -> None:
    """With all roundings written out, in the body of a loop too."""
    sampler = Sampler(denoisers["tinydit"], create("ddim", 3))
    ends = []
    for each in ("unrolled", layout):
        result = compile(sampler, captures=captures, layout=each, precision="fp16").verify()
        ends.append(1 - result.others["all roundings"][-1])
    assert ends[1] == pytest.approx(ends[0], rel=0.5)
    assert ends[1] > 1e-9
