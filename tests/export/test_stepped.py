"""Networks that are told where a step leads, or give a policy: through every layout and back from the manifest."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import TinyPolicy, seeded, waves
from torch import Tensor, nn

from samplegraph.export import Captures, ExportError, compile
from samplegraph.export.verification.rebuild import rebuild
from samplegraph.export.verification.verify import verify
from samplegraph.models import ModelSpec, Sampler
from samplegraph.runtime import Engine
from samplegraph.schedulers import create

LAYOUTS = ("unrolled", "chunked:2", "step", "repeated:2", "loop")


class TwoTimes(nn.Module):
    """Embeds both timesteps."""

    spec = ModelSpec(
        name="twotimes", sample_shape=(2, 4, 4), prediction_type="flow_prediction", second_timestep="r_timestep"
    )

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix = nn.Linear(32, 2), nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, sample: Tensor, timestep: Tensor, r_timestep: Tensor) -> Tensor:
        c = self.embed(torch.cat([waves(timestep), waves(r_timestep)], dim=1))
        return torch.tanh(self.mix(sample) + c[:, :, None, None])


@cache
def sampler_of(name: str, steps: int) -> Sampler:
    model = seeded(TwoTimes()) if name == "flow_map" else seeded(TinyPolicy())
    return Sampler(model, create(name, steps), None)


#: One capture of each network.
CAPTURES = Captures()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["flow_map", "piflow"])
def test_every_layout_gives_what_eager_gives(name: str, layout: str, tmp_path: Path) -> None:
    sampler = sampler_of(name, 3)
    program = compile(sampler, layout=layout, batch=2, captures=CAPTURES)
    path = program.save(tmp_path / "x.onnx")
    shape = (2, *(sampler.spec.sample_shape or ()))
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    given = {} if name == "flow_map" else {"class_labels": [1, 2]}
    found = Engine(path)(noise=noise, **given)
    with torch.no_grad():
        eager = sampler(torch.from_numpy(noise), **{k: torch.tensor(v) for k, v in given.items()}).numpy()
    assert np.abs(found - eager).max() <= 1e-5 * np.abs(eager).max()
    again, sig = rebuild(program.manifest, sampler.model)
    assert verify(path, again, sig).error <= 1e-5


@pytest.mark.parametrize("name", ["flow_map", "piflow"])
def test_the_tables_of_a_step_are_folded(name: str) -> None:
    """Nothing of the lookup is left where the timesteps are constants."""
    ops = {node.op_type for node in compile(sampler_of(name, 3), batch=2, captures=CAPTURES).model.graph}
    assert not {"ArgMin", "Abs"} & ops


def test_one_graph_serves_one_number_of_steps() -> None:
    with pytest.raises(ExportError, match="follows from the number of steps; export one file for each"):
        compile(sampler_of("flow_map", 3), layout="step", more=[sampler_of("flow_map", 4)], captures=Captures())
