"""What TensorRT refuses is found: one rejected graph and one accepted neighbour for each rule."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
from text_models import model
from torch import nn

from samplegraph.export import Captures, ExportError, compile
from samplegraph.export.cli import main
from samplegraph.export.engine.builder_rules import RANDOM, UNKNOWN
from samplegraph.export.engine.builder_safe import check_builder_safe, problems, problems_of
from samplegraph.models import Sampler
from samplegraph.models.sources.onnx_refusals import RANDOM_OPS
from samplegraph.schedulers import create, names

F4 = "(float[4] x) => (float[4] y)"
IMAGE = "(float[1,1,8,8] x) => (float[1,1,m,n] y)"
SCATTER = "(float[4] x, int64[2] i, float[2] u) => (float[4] y)"
HEADS = "({kind}[1,4,64,{size}] q) => ({kind}[1,4,64,{size}] y)"
SIZES = "s = Constant <value_ints = [1,1,4,4]> ()\n"

QUICK = ("ddim", "dpm_multistep", "heun", "repaint", "score_sde_vp", "vq_diffusion")
REFUSED = [
    ("BitwiseXor", "no such operator", "(int32[4] x) => (int32[4] y)", "y = BitwiseXor(x, x)"),
    ("SequenceConstruct", "no such operator", "(float[4] x) => (float[8] y)", "s = SequenceConstruct(x, x)\n"
     "y = ConcatFromSequence <axis = 0> (s)"),
    ("RandomNormalLike", "draws random numbers", F4, "y = RandomNormalLike(x)"),
    ("Add", "of type uint32", "(uint32[4] x) => (uint32[4] y)", "y = Add(x, x)"),
    ("Add", "of type uint8", "(uint8[4] x) => (uint8[4] y)", "y = Add(x, x)"),
    ("Add", "of type int16", "(int16[4] x) => (int16[4] y)", "y = Add(x, x)"),
    ("Add", "of type double", "(double[4] x) => (double[4] y)", "y = Add(x, x)"),
    ("Add", "9 axes, at most 8", "(float[1,1,1,1,1,1,1,1,2] x) => (float[1,1,1,1,1,1,1,1,2] y)", "y = Add(x, x)"),
    ("TopK", "K = 3841, at most 3840", "(float[1,8000] x) => (float[1,3841] y)",
     "k = Constant <value_ints = [3841]> ()\ny, i = TopK(x, k)"),
    ("MatMul", "of type int64", "(int64[4,4] x) => (int64[4,4] y)", "y = MatMul(x, x)"),
    ("Relu", "of type int32", "(int32[4] x) => (int32[4] y)", "y = Relu(x)"),
    ("ReduceMax", "of type bool", "(bool[4] x) => (bool y)", "y = ReduceMax <keepdims = 0> (x)"),
    ("ReduceMin", "of type bool", "(bool[4] x) => (bool y)", "y = ReduceMin <keepdims = 0> (x)"),
    ("ScatterND", "reduction = add", SCATTER.replace("[2] i", "[2,1] i"),
     'y = ScatterND <reduction = "add"> (x, i, u)'),
    ("ScatterElements", "reduction = add", SCATTER, 'y = ScatterElements <reduction = "add"> (x, i, u)'),
    ("MaxPool", "dilations other than 1", IMAGE, "y = MaxPool <kernel_shape = [2,2], dilations = [2,2]> (x)"),
    ("MaxPool", "its indices are read", "(float[1,1,8,8] x) => (float[1,1,m,n] y, int64[1,1,m,n] i)",
     "y, i = MaxPool <kernel_shape = [2,2]> (x)"),
    ("Resize", "antialias = 1", IMAGE, SIZES + 'y = Resize <mode = "linear", antialias = 1> (x, , , s)'),
    ("Resize", "coordinate_transformation_mode = half_pixel_symmetric", IMAGE, SIZES
     + 'y = Resize <coordinate_transformation_mode = "half_pixel_symmetric"> (x, , , s)'),
    ("Dropout", "in training mode", F4, "r = Constant <value_float = 0.5> ()\nt = Constant <value = bool {1}> ()\n"
     "y = Dropout(x, r, t)"),
]  # fmt: skip

ALLOWED = [
    ("(uint8[4] x) => (float[4] y)", "y = Cast <to = 1> (x)"),
    ("(int64[4] x) => (int64[4] y)", "y = Add(x, x)"),
    ("(bool[4] x) => (bool[4] y)", "y = Xor(x, x)"),
    ("(float[1,8000] x) => (float[1,3840] y)", "k = Constant <value_ints = [3840]> ()\ny, i = TopK(x, k)"),
    ("(int64[4,4] x) => (int64 y)", "y = ReduceMax <keepdims = 0> (x)"),
    (SCATTER, "y = ScatterElements(x, i, u)"),
    (IMAGE, "y, i = MaxPool <kernel_shape = [2,2], dilations = [1,1]> (x)"),
    (IMAGE, SIZES + 'y = Resize <mode = "cubic", antialias = 0> (x, , , s)'),
    (F4, "y, mask = Dropout(x)"),
    ("(float[1,1,1,1,1,1,1,2] x) => (float[1,1,1,1,1,1,1,2] y)", "y = Add(x, x)"),
]


def test_the_rules_need_no_torch() -> None:
    """A build starts in less than a second."""
    code = "import sys, samplegraph.export.engine.builder_safe; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout == "False\n"
    assert set(RANDOM) == RANDOM_OPS


@pytest.mark.parametrize(("op", "reason", "signature", "body"), REFUSED)
def test_what_is_refused(op: str, reason: str, signature: str, body: str) -> None:
    found = problems(model(signature, body))
    assert (op, reason) in [(p.op, p.reason) for p in found]
    assert all(p.remedy and p.origin for p in found)


@pytest.mark.parametrize(("signature", "body"), ALLOWED)
def test_what_is_not(signature: str, body: str) -> None:
    assert problems(model(signature, body)) == []


@pytest.mark.parametrize(
    ("kind", "size", "attributes", "reason"),
    [
        ("float", 64, "", "of type float"),
        ("float16", 8, "", "heads of size 8, not 12 to 256"),
        ("float16", 512, "", "heads of size 512, not 12 to 256"),
        ("float16", 64, "<softmax_precision = 1>", "softmax_precision is set"),
        ("float16", 64, "", None),
        ("bfloat16", 256, "", None),
    ],
)
def test_attention(kind: str, size: int, attributes: str, reason: str | None) -> None:
    text = f"y = Attention {attributes} (q, q, q)"
    header = f'<ir_version: 10, opset_import: ["" : 23]>\nagraph {HEADS.format(kind=kind, size=size)}'
    graph = ir.from_proto(onnx.parser.parse_model(f"{header}\n{{\n{text}\n}}"))
    assert [p.reason for p in problems(graph)] == ([reason] if reason else [])


def test_operators_of_another_domain_and_in_a_branch() -> None:
    custom = ir.from_proto(onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 20, "own" : 1]>\nagraph {F4}\n{{\ny = own.Magic(x)\n}}'
    ))  # fmt: skip
    assert [p.reason for p in problems(custom)] == ["operator of domain 'own'"]
    branch = "y = If(c) <then_branch = t () => (float[4] a) { a = Identity(x) }, else_branch = e () => (float[4] b) " \
        "{ b = RandomNormalLike(x) }>"
    assert [p.op for p in problems(model("(float[4] x, bool c) => (float[4] y)", branch))] == ["RandomNormalLike"]


def test_every_name_in_the_table_is_an_operator_of_onnx() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert set(UNKNOWN) - known <= {"BitCast", "CumProd", "SwiGLU"}  # of a newer ONNX than is installed


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in names()]
)
def test_every_scheduler_s_graph_passes(
    name: str, captures: Captures, denoiser_of: Callable[[str], nn.Module], tmp_path: Path
) -> None:
    program = compile(Sampler(denoiser_of(name), create(name, 4)), captures=captures, name=name)
    check_builder_safe(program.model, name)
    assert problems_of(program.save(tmp_path / f"{name}.onnx")) == []


def test_a_network_s_operators_are_counted_and_placed(captures: Captures) -> None:
    class Shifts(nn.Module):
        def forward(self, sample: nn.Module, timestep: nn.Module) -> object:
            return sample.double().exp().float()  # type: ignore[operator]

    program = compile(Sampler(Shifts(), create("ddim", 3)), (1, 4))
    found = {p.op: p for p in problems(program.model)}
    assert (found["Exp"].count, found["Exp"].origin) == (3, "evaluation 0 of the network")
    with pytest.raises(ExportError, match=r"cannot build it: Cast .*of type double; .*\(and 1 more: samplegraph"):
        check_builder_safe(program.model, "it")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, body, code, said in (
        ("good", "y = Add(x, x)", 0, "nothing that TensorRT refuses"),
        ("bad", "y = RandomNormalLike(x)", 1, "RandomNormalLike"),
    ):
        ir.save(model(F4, body), tmp_path / f"{name}.onnx")
        assert main(["inspect", str(tmp_path / f"{name}.onnx"), "--builder-check"], program="samplegraph") == code
        assert said in capsys.readouterr().out
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    for name in ("broken.onnx", "missing.onnx", "sidecar.json"):
        assert main(["inspect", str(tmp_path / name), "--builder-check"], program="samplegraph") == 2
        assert capsys.readouterr().err.count("\n") == 1
