"""Engines and ONNX Runtime's GPU providers against the CPU, step by step. No GPU has run these tests yet."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from networks import TinyDiT, TinyUNet, seeded

from samplegraph.export import Captures, compile
from samplegraph.export.engine import BUILDERS, BatchProfile, BuildSettings, build_engine, plan_engines
from samplegraph.models import Sampler
from samplegraph.runtime import Engine, InputError
from samplegraph.runtime.gpu.cuda import Cuda
from samplegraph.runtime.values import host
from samplegraph.schedulers import create

pytestmark = pytest.mark.gpu

RELATIVE, COSINE = 1e-3, 0.999
LAYOUTS = ("unrolled", "chunked:1", "repeated:2", "step")
MODELS = {"unet": TinyUNet, "dit": TinyDiT}
PROVIDERS = ("cuda", "tensorrt", "nvtensorrtrtx")


@pytest.fixture(scope="module")
def target() -> str:
    try:
        major, minor = Cuda().compute_capability
    except InputError as error:
        pytest.skip(str(error))
    return f"sm{major}{minor}"


@pytest.fixture(scope="module")
def graphs(target: str, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """A small network of each kind in each layout."""
    folder, found, captures = tmp_path_factory.mktemp("gpu"), {}, Captures()
    for name, model in MODELS.items():
        sampler = Sampler(seeded(model()), create("dpm_multistep", steps=6), guidance_scale=2.0)
        for layout in LAYOUTS:
            program = compile(sampler, batch="dynamic", layout=layout, captures=captures)
            found[name, layout] = Path(program.save(folder / f"{name}-{layout.replace(':', '')}.onnx"))
        half = compile(sampler, batch="dynamic", layout="step", precision="fp16", captures=captures)
        found[name, "fp16"] = Path(half.save(folder / f"{name}-fp16.onnx"))
    return found


def built(graph: Path, builder: str, target: str) -> Path:
    """The engines of a graph and its set for this GPU."""
    kind = BUILDERS[builder]
    pytest.importorskip(kind.module)
    if kind.targets and target not in kind.targets:
        pytest.skip(f"{builder} does not build for {target}")
    plans = plan_engines(graph, kind, [target], BuildSettings(batch=BatchProfile(1, 2, 4)))
    for plan in plans:
        build_engine(plan)
    return plans[0].output


def samples(engine: Engine, batch: int) -> list[np.ndarray]:
    """The sample after each step that the layout shows, for some noise and labels."""
    values = np.random.default_rng(0)
    feed = {}
    for tensor in engine.inputs:
        shape = [batch if isinstance(axis, str) else axis for axis in tensor.shape]
        whole = tensor.dtype == "int64"
        feed[tensor.name] = values.integers(0, 3, shape) if whole else values.normal(size=shape).astype(tensor.dtype)
    found: list[np.ndarray] = []
    with nullcontext() if engine._cuda is None else engine._cuda.turn():
        engine.driver.run(feed, lambda position: found.append(host(position.sample).copy()))
    return found


def agrees(found: Engine, expected: Engine) -> None:
    for batch in (1, 4, 1, 1):  # the last is replayed, where graphs are captured
        pairs = list(zip(samples(found, batch), samples(expected, batch), strict=True))
        errors = [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs]
        assert max(errors) <= RELATIVE, errors


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("builder", list(BUILDERS))
def test_an_engine_agrees_with_the_cpu_after_every_step(
    graphs: dict[tuple[str, str], Path], target: str, builder: str, model: str, layout: str
) -> None:
    graph = graphs[model, layout]
    engine = Engine(built(graph, builder, target))
    agrees(engine, Engine(graph))
    assert engine.notes == ()


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("builder", list(BUILDERS))
def test_an_engine_in_half_precision_points_where_the_cpu_points(
    graphs: dict[tuple[str, str], Path], target: str, builder: str, model: str
) -> None:
    half = samples(Engine(built(graphs[model, "fp16"], builder, target)), 2)
    full = samples(Engine(graphs[model, "step"]), 2)
    for a, b in zip(half, full, strict=True):
        assert float(np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)) >= COSINE


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_agrees_with_the_cpu_after_every_step(
    graphs: dict[tuple[str, str], Path], target: str, provider: str, model: str, layout: str
) -> None:
    if not any(name.lower().startswith(provider) for name in ort.get_available_providers()):
        pytest.skip(f"this ONNX Runtime has no {provider}")
    agrees(Engine(graphs[model, layout], providers=[provider, "cpu"]), Engine(graphs[model, layout]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_torch_gives_and_takes_tensors_on_the_gpu(
    graphs: dict[tuple[str, str], Path], target: str, layout: str
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    graph = graphs["unet", layout]
    engine = Engine(built(graph, "tensorrt-rtx", target))
    noise = torch.randn(3, *engine.manifest.sample_shape)
    labels = torch.tensor([0, 1, 2])
    drawn = torch.from_dlpack(engine(noise=noise.cuda(), class_labels=labels.cuda(), device_output=True))
    assert drawn.is_cuda
    expected = Engine(graph)(noise=noise.numpy(), class_labels=labels.numpy())
    assert np.abs(drawn.cpu().numpy() - expected).max() <= RELATIVE * np.abs(expected).max()


def test_auto_takes_a_gpu(graphs: dict[tuple[str, str], Path], target: str) -> None:
    if not any(name.lower().startswith(PROVIDERS) for name in ort.get_available_providers()):
        pytest.skip("this ONNX Runtime has no provider for NVIDIA GPUs")
    engine = Engine(graphs["unet", "unrolled"], providers="auto")
    assert engine.providers[0] != "CPUExecutionProvider", engine.notes


def test_an_engine_for_another_gpu_is_refused(graphs: dict[tuple[str, str], Path], target: str) -> None:
    rtx = BUILDERS["tensorrt-rtx"]
    pytest.importorskip(rtx.module)
    other = next(each for each in rtx.targets if each != target)
    (plan,) = plan_engines(graphs["unet", "unrolled"], rtx, [other], BuildSettings())
    build_engine(plan)
    with pytest.raises(InputError, match=f"was built for {other} and this GPU is {target}"):
        Engine(plan.output)
