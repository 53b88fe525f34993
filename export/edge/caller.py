"""What the caller of a sampler gives and gets, where modules stand in front of it or behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from samplegraph.export.edge.shapes import back_result
from samplegraph.export.errors import ExportError
from samplegraph.models import Sampler
from samplegraph.models.guidance import NEGATIVE
from samplegraph.runtime.manifest import CARRIED, Tensor

#: In front of the name of what a chunk hands on of the fronts' results.
GIVEN = "pre_"


@dataclass(frozen=True)
class Edge:
    """Inputs in order and the output; examples (B, ...) of what the caller gives the fronts, and of what each is shown.
    """

    inputs: tuple[Tensor, ...]
    output: Tensor
    examples: Mapping[str, torch.Tensor] = field(default_factory=dict)
    shown: tuple[dict[str, torch.Tensor], ...] = ()


def edge_of(
    sampler: Sampler,
    inputs: Sequence[Tensor],
    output: Tensor,
    own: Mapping[str, Tensor],
    examples: Mapping[str, torch.Tensor],
    shown: Sequence[dict[str, torch.Tensor]],
) -> Edge:
    """The edge around a sampler of these ``inputs`` and this ``output``.

    Args:
        own: the fronts' inputs, by name; a twin ``negative_<name>`` is as its input.
        examples, shown: as of ``Edge``.

    Raises:
        ExportError: the module behind refuses the sample, or a name is taken.
    """
    inlet = sampler.entrance.inlet
    made = [t for t in inputs if t.name.removeprefix(NEGATIVE) not in inlet.gives]
    place = next((i for i, t in enumerate(made) if t.role in ("condition", "negative", "guidance_scale")), len(made))
    taken = sampler.entrance.inputs([t.name for t in made if t.role == "condition"]) if inlet.fronts else []
    front = [own[name] for name in taken if name in own]
    twins = [name.removeprefix(NEGATIVE) for name in taken if name not in own]
    front += [_twin(own[name], inlet.absent.get(name)) for name in twins]
    made[place:place] = front
    names = [t.name for t in made]
    handed = [name for name in names if name.startswith(GIVEN) or name.endswith(CARRIED)]
    twice = [name for name in names if names.count(name) > 1] + (handed if inlet.fronts else [])
    if sampler.post is not None:
        output = _result(sampler, output)
        twice += [name for name in names if name == output.name]
    if twice:
        raise ExportError(f"the name {twice[0]!r} is taken by another input or output; rename that of the pre or post")
    return Edge(tuple(made), output, dict(examples), tuple(shown))


def _twin(tensor: Tensor, default: float | None) -> Tensor:
    text = f"unconditional twin of {tensor.name}"
    return replace(tensor, name=NEGATIVE + tensor.name, role="negative", description=text, default=default)


def _result(sampler: Sampler, sample: Tensor) -> Tensor:
    assert sampler.post is not None
    spec = sampler.post.spec
    shape = [2 if isinstance(n, str) else n for n in sample.shape]
    result = back_result(sampler, torch.zeros(shape, dtype=getattr(torch, sample.dtype)))
    dtype = str(result.dtype).removeprefix("torch.")
    shape_out = (sample.shape[0], *result.shape[1:])
    return Tensor(
        spec.name, dtype, shape_out, "sample", spec.description, minimum=spec.minimum, maximum=spec.maximum
    )
