"""Every scheduler's graph on its demo model is parsed and built for sm89 by TensorRT-RTX; no GPU is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from samplegraph.export import Captures, compile
from samplegraph.export.engine import BUILDERS, BuildSettings, build_engine, plan_engines
from samplegraph.models import Sampler
from samplegraph.models.demo import demo_source
from samplegraph.models.load import load_model
from samplegraph.runtime.engine_file import check_engine
from samplegraph.schedulers import OptionError, create, names

trt = pytest.importorskip("tensorrt_rtx")
#: Cheap, and each of another kind: tokens, one evaluation a step, history, noise, an image to keep, an inversion.
QUICK = ("vq_diffusion", "ddim_inverse", "dpm_multistep", "euler_ancestral", "ddim", "lms")
LEAST = 8


def smallest(name: str) -> int:
    """The fewest steps, of at least ``LEAST``, that the scheduler takes."""
    for steps in range(LEAST, 100):
        try:
            create(name, steps)
        except OptionError:
            continue
        return steps
    raise AssertionError(name)


@pytest.fixture(scope="module")
def demo_captures() -> Captures:
    return Captures()


_MODELS: dict[str, object] = {}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in names()])
def test_every_scheduler_builds(name: str, demo_captures: Captures, tmp_path: Path) -> None:
    source = demo_source(name)
    if source not in _MODELS:
        _MODELS[source] = load_model(source)
    sampler = Sampler(_MODELS[source], create(name, smallest(name)))  # type: ignore[arg-type]
    graph = compile(sampler, captures=demo_captures).save(tmp_path / f"{name}.onnx")
    kind = BUILDERS["tensorrt-rtx"]
    (plan,) = plan_engines(graph, kind, ["sm89"], BuildSettings())
    made = build_engine(plan)
    assert check_engine(plan.output, kind.name, trt.__version__, (8, 9), graph) == made
    assert made.engine is not None
    assert made.engine.bytes > made.weights.bytes / 2
