"""Modules in front of and behind the sampler in its graph: against eager, in every layout, and each weight once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from networks import CrossAttention, Unconditional, seeded
from safetensors.torch import save_file
from stage_modules import (
    decoder,
    head,
    normaliser,
    observation_encoder,
    text_denoiser,
    text_encoder,
    un_normaliser,
)
from torch import Tensor, nn

from samplegraph.export import Captures, ExportError, VerificationError, compile
from samplegraph.export.denoiser.capture_cache import CaptureCache
from samplegraph.export.verification.examples import example_inputs, run_eager_steps
from samplegraph.export.verification.rebuild import rebuild
from samplegraph.models import Back, BackSpec, Condition, FrontSpec, ModelSpec, Sampler
from samplegraph.runtime import Engine, Manifest
from samplegraph.schedulers import create

SLOW = pytest.mark.slow


def picture(scheduler: str = "euler", steps: int = 4, scale: float | str | None = "input") -> Sampler:
    return Sampler(text_denoiser(), create(scheduler, steps), scale, pre=[text_encoder()], post=decoder())


def policy() -> Sampler:
    return Sampler(head(), create("ddim", 3), pre=[normaliser(), observation_encoder()], post=un_normaliser())


def check(sampler: Sampler, folder: Path, captures: Captures, **options: Any) -> Engine:
    """Verified, checked by onnx, and the same through the runtime on other inputs than verification's."""
    program = compile(sampler, captures=captures, **options)
    result = program.verify()
    assert result.error <= 1e-5
    assert result.timesteps[-1] is None or sampler.post is None
    engine = Engine(program.save(folder / f"{program.manifest.name}.onnx"))
    inputs = example_inputs(sampler, program.signature, seed=5)
    if options.get("batch") == "dynamic":  # more rows than the graph was captured with
        inputs = {name: torch.cat([value, value[:1]]) if value.ndim else value for name, value in inputs.items()}
    expected = run_eager_steps(sampler, inputs)[-1]
    found = engine(**{name: value.numpy() for name, value in inputs.items()})
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    for file in folder.glob("*.onnx"):
        onnx.checker.check_model(str(file), full_check=True)
        onnx.shape_inference.infer_shapes(onnx.load(file), strict_mode=True, data_prop=True)
    return engine


@pytest.mark.parametrize(
    ("make", "batch", "layout"),
    [
        pytest.param(picture, 2, "unrolled", marks=SLOW),
        (picture, "dynamic", "chunked:1"),
        pytest.param(picture, 1, "chunked:4", marks=SLOW),
        (picture, 2, "loop"),
        (policy, "dynamic", "unrolled"),
        (policy, 2, "chunked:2"),
        pytest.param(policy, "dynamic", "loop", marks=SLOW),
    ],
)
def test_the_graph_is_eager(
    make: Callable[[], Sampler], batch: int | str, layout: str, captures: Captures, tmp_path: Path
) -> None:
    engine = check(make(), tmp_path, captures, batch=batch, layout=layout)
    given = {t.name for t in engine.inputs}
    if make is picture:
        assert given == {"noise", "input_ids", "negative_input_ids", "guidance_scale"}
        output = engine.manifest.result
        assert (output.name, output.minimum, output.maximum) == ("image", 0.0, 1.0)
        assert engine.manifest.sample_shape == (3, 8, 8)
    else:
        assert given == {"noise", "obs", "negative_obs", "goal", "guidance_scale"}
    known = Manifest.from_json(engine.manifest.to_json())
    assert (known.pre, known.post, known.results) == (
        engine.manifest.pre,
        engine.manifest.post,
        engine.manifest.results,
    )


@pytest.mark.parametrize(
    ("options", "layout"),
    [
        ({"guidance_scale": None}, "unrolled"),
        ({"guidance_scale": 2.5}, "chunked:2"),
        ({"guidance_interval": "steps:0.5,1"}, "unrolled"),
        ({"guided": ["encoder_hidden_states"]}, "chunked:2"),
        pytest.param({"guidance_scale": None}, "chunked:2", marks=SLOW),
        pytest.param({"guidance_scale": 2.5}, "unrolled", marks=SLOW),
        pytest.param({"guidance_interval": "steps:0.5,1"}, "chunked:2", marks=SLOW),
        pytest.param({"guided": ["encoder_hidden_states"]}, "unrolled", marks=SLOW),
    ],
    ids=str,
)
def test_guidance(options: dict[str, Any], layout: str, captures: Captures, tmp_path: Path) -> None:
    scheduler = create("ddim", 4, eta=0.5)
    sampler = Sampler(text_denoiser(), scheduler, **options, pre=[text_encoder()], post=decoder())
    check(sampler, tmp_path, captures, layout=layout)


def count(file: Path, op: str, scope: str) -> int:
    return sum(n.op_type == op and n.output[0].startswith(scope) for n in onnx.load(file).graph.node)


def test_each_part_is_there_once(captures: Captures, tmp_path: Path) -> None:
    """One look-up and one decoder whatever the steps; a chunk holds no more than it needs; weights are written once."""
    sizes = []
    for steps in (2, 6):
        program = compile(picture(steps=steps), captures=captures, name=f"p{steps}", weights="external")
        file = program.save(tmp_path / f"p{steps}.onnx")
        assert (count(file, "Gather", "pre0."), count(file, "ConvTranspose", "post.")) == (1, 1)
        names = [i.name for i in onnx.load(file, load_external_data=False).graph.initializer]
        assert sum(name.endswith("table.weight") for name in names) == 1
        sizes.append(program.manifest.weights.bytes)
    assert sizes[0] == sizes[1]
    assert len(list(tmp_path.glob("weights-*.bin"))) == 1
    compile(picture(steps=6), captures=captures, name="c", layout="chunked:2").save(tmp_path / "c.onnx")
    chunks = sorted(tmp_path.glob("c.chunk-*.onnx"))
    assert [count(file, "Gather", "pre0.") for file in chunks] == [1, 0, 0]
    assert [count(file, "ConvTranspose", "post.") for file in chunks] == [0, 0, 1]


class Tied(nn.Module):
    """``act`` with numbers that others have, too."""

    def __init__(self, weight: Tensor, act: Callable[[Tensor, Tensor], Tensor], spec: FrontSpec | BackSpec) -> None:
        super().__init__()
        self.spec, self.act = spec, act
        self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x, self.weight)


def test_a_weight_of_front_and_back_is_there_once(captures: Captures, tmp_path: Path) -> None:
    weight = torch.randn(3, 16, generator=torch.Generator().manual_seed(0)).exp()
    front = Tied(weight, lambda x, w: x * w, FrontSpec((Condition("x", (3, 16)),), ("init_sample",)))
    back = Tied(weight, lambda x, w: x / w, BackSpec("code"))
    sampler = Sampler(seeded(Unconditional()), create("euler", 4), strength=0.5, pre=[front], post=back)
    program = compile(sampler, captures=captures)
    assert program.verify().error <= 1e-5
    sizes = [list(i.dims) for i in onnx.load(program.save(tmp_path / "t.onnx")).graph.initializer]
    assert sizes.count([3, 16]) == 1


def test_the_rows_of_both_branches_are_not_parted_again(captures: Captures, tmp_path: Path) -> None:
    """Where every evaluation is guided, what the front gives for both branches goes on as it is."""
    file = compile(picture(), captures=captures).save(tmp_path / "p.onnx")
    assert not [n for n in onnx.load(file).graph.node if n.op_type == "Split" and n.output[0].startswith("stages")]


def test_a_swap_of_branches_is_found(captures: Captures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from samplegraph.export.stages.on_graph import OnGraph

    stack = OnGraph.stack
    monkeypatch.setattr(OnGraph, "stack", lambda self, uncond, cond: stack(self, cond, uncond))
    with pytest.raises(VerificationError):
        compile(picture(), captures=captures).verify()


def test_weights_in_place_and_captures_kept(tmp_path: Path) -> None:
    """The front's and the back's weights are read from their own checkpoints; a second process captures nothing."""
    encode, decode = text_encoder(), decoder()
    for name, module in (("text_encoder", encode), ("vae", decode)):
        (tmp_path / name).mkdir()
        save_file(module.state_dict(), tmp_path / name / "model.safetensors")
    sampler = Sampler(text_denoiser(), create("euler", 3), pre=[encode], post=decode)
    files = []
    for _ in range(2):
        captures = Captures(CaptureCache(tmp_path / ".cache"))
        program = compile(sampler, captures=captures, weights="external")
        file = program.save(tmp_path / "p.onnx")
        files.append(file.read_bytes())
    assert files[0] == files[1]
    assert len(list((tmp_path / ".cache").glob("*.capture"))) == 3
    assert set(program.placement.recorded(program.manifest.weights).files) >= {"vae/model.safetensors"}
    assert Engine(file)(seed=0, input_ids=[[1] * 7], negative_input_ids=[[2] * 7]).shape == (1, 3, 8, 8)


def test_a_front_gives_the_sample_to_start_from(captures: Captures, tmp_path: Path) -> None:
    class Encode(nn.Module):
        spec = FrontSpec((Condition("picture", (3, 32)),), ("init_sample",))

        def forward(self, picture: Tensor) -> Tensor:
            return nn.functional.avg_pool1d(picture, 2)

    signal = seeded(Unconditional())
    for layout in ("unrolled", "chunked:1"):
        sampler = Sampler(signal, create("euler", 6), strength=0.5, inpaint=True, pre=[Encode()])
        engine = check(sampler, tmp_path, captures, layout=layout, name=layout.partition(":")[0])
        assert [t.name for t in engine.inputs] == ["noise", "mask", "picture"]


def test_verification_made_again(captures: Captures, tmp_path: Path) -> None:
    sampler = picture()
    program = compile(sampler, batch=2, captures=captures)
    again, sig = rebuild(program.manifest, sampler.model, [text_encoder()], decoder())
    assert sig.edge.inputs == program.signature.edge.inputs
    assert compile(again, batch=2, captures=captures).manifest == program.manifest
    with pytest.raises(ExportError, match=re.escape("pre: text-euler-4-pre-post-b2 was made with --pre ...; give the")):
        rebuild(program.manifest, sampler.model, [], decoder())
    with pytest.raises(ExportError, match="this model makes one that gives sample"):
        rebuild(program.manifest, sampler.model, [text_encoder()], nn.Identity())


def test_precision_is_the_networks(captures: Captures, tmp_path: Path) -> None:
    program = compile(picture(), precision="fp16", captures=captures)
    program.verify()
    for value in program.model.graph.initializers.values():
        if str(value.name).startswith(("pre0.", "post.")) and value.dtype is not None:
            assert value.dtype.name != "FLOAT16"


# what is refused


class Bad(nn.Module):
    """A front or a back that does ``act``."""

    def __init__(self, act: Callable[[nn.Module, Tensor], Tensor], spec: FrontSpec | BackSpec) -> None:
        super().__init__()
        self.spec, self.act = spec, act
        self.register_buffer("count", torch.zeros(3))

    def forward(self, sample: Tensor) -> Tensor:
        return self.act(self, sample)


def counting(self: nn.Module, x: Tensor) -> Tensor:
    self.count += 1
    return x + self.count[0]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda self, x: x + torch.randn_like(x), "post=Bad draws random numbers (op RandomNormalLike)"),
        (counting, "post=Bad changes its buffer 'count'; a graph keeps no state"),
        (lambda self, x: x.mul_(2), "post=Bad changes its input in place"),
        (lambda self, x: x.double(), "post=Bad returns sample in float64; return one of"),
        (lambda self, x: x.reshape(-1), "post=Bad returns sample of shape (48,) for 1 rows; it has to keep the batch"),
        (lambda self, x: x @ x, "post=Bad cannot be called with its inputs: RuntimeError: "),
    ],
)
def test_backs_that_are_refused(act: Any, message: str, captures: Captures) -> None:
    sampler = Sampler(seeded(Unconditional()), create("euler", 2), post=Bad(act, BackSpec()))
    with pytest.raises(ExportError, match=re.escape(message)) as found:
        compile(sampler, captures=captures)
    assert "\n" not in str(found.value)


class Reshaping(nn.Module):
    def __init__(self, spec: FrontSpec | None = None) -> None:
        super().__init__()
        if spec is not None:
            self.spec = spec

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.reshape(tokens.shape[0], -1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (None, "condition 'tokens' is missing: a module in front takes it and does not declare its shape"),
        (FrontSpec((Condition("tokens", (2, 2)),)), "gives label as float32 ('B', 4); the model takes float32 (B, 2)"),
        (FrontSpec((Condition("tokens", (2,), "int64"),)), "gives label as int64 ('B', 2); the model takes float32"),
    ],
)
def test_fronts_that_are_refused(spec: FrontSpec | None, message: str, captures: Captures) -> None:
    model = seeded(CrossAttention())
    model.spec = ModelSpec(sample_shape=(4, 2, 2), conditions=(Condition("label", (2,)),))
    sampler = Sampler(model, create("euler", 2), None, pre=[Reshaping(spec)])
    with pytest.raises(ExportError, match=re.escape(message)):
        compile(sampler, captures=captures)


@pytest.mark.parametrize("layout", ["step", "repeated:2"])
def test_layouts_that_are_refused(layout: str, captures: Captures) -> None:
    with pytest.raises(ExportError, match=f"layout='{layout}' has no place for a module in front or behind"):
        compile(picture(), layout=layout, captures=captures)


def test_a_name_that_is_taken(captures: Captures) -> None:
    decode = Back(decoder(), BackSpec("input_ids"))
    sampler = Sampler(text_denoiser(), create("euler", 2), pre=[text_encoder()], post=decode)
    with pytest.raises(ExportError, match="the name 'input_ids' is taken by another input or output"):
        compile(sampler, captures=captures)
