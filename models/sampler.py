"""The sampler: model + scheduler + guidance as one module. Running it eagerly is the reference."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from samplegraph.models.denoiser import Denoiser
from samplegraph.models.guidance import INPUT, NEGATIVE, SCALE, Guidance
from samplegraph.models.interval import Interval
from samplegraph.models.own_inputs import check_ranges, own_inputs
from samplegraph.models.spec import ModelSpec, spec_of
from samplegraph.models.stages.back import Back
from samplegraph.models.stages.entrance import Entrance
from samplegraph.models.stages.front import Front
from samplegraph.models.stepped import network_of
from samplegraph.models.task import task_of
from samplegraph.schedulers import OptionError, Prediction, Profile, Scheduler
from samplegraph.schedulers.errors import suggest


@dataclass(frozen=True)
class Position:
    """Between two steps: the sample, the solver's state, and the clean sample predicted last (None: none yet)."""

    sample: torch.Tensor
    state: tuple[torch.Tensor, ...]
    x0: torch.Tensor | None


class Sampler(nn.Module):
    """``forward(noise, step_noise, **conditions) -> sample``.

    With ``strength`` or ``begin`` it takes ``init_sample``, a clean sample, adds the noise of a later step to it and
    runs from there (image to image); with ``inpaint`` also ``mask``, and keeps the sample where that is 0. Over a
    scheduler that inverts it takes ``init_sample`` in place of noise and returns its noise.

    Args:
        model: any module called ``model(sample, timestep, **conditions)``; its attribute ``spec`` (``ModelSpec``)
            declares what it was trained for.
        scheduler: from ``create`` or ``from_config``.
        guidance_scale: ``"input"`` (default: a scalar input where the model has conditions), a float (baked), one
            float per step, or None or 1 (no unconditional branch).
        guidance_interval: where guidance applies, an ``Interval`` or text as ``sigma:0.3,5``; outside, the
            unconditional branch is not evaluated. None means everywhere.
        guidance_rescale: phi in [0, 1] of arXiv:2305.08891, section 3.4.
        guided: conditions that differ between the guided branches; those that the model declares so where None.
        spec: a declaration that stands in for the model's own.
        strength: share of the steps that are taken, in (0, 1]: ``int(N * strength)`` of N, the last ones.
        begin: the first step, 0 to N - 1, in place of ``strength``.
        inpaint: put the known part back after every step; at strength 1 the run starts from noise alone.
        pre: modules in front, in order, each a ``Front`` or what one is made of: they give conditions of the model (or
            ``init_sample``, ``mask``) from inputs of their own, which then stand in for them.
        post: a module behind, a ``Back`` or what one is made of: it makes the result of the final sample.

    Raises:
        OptionError: the parts contradict each other.
    """

    def __init__(
        self,
        model: nn.Module,
        scheduler: Scheduler,
        guidance_scale: float | str | tuple[float, ...] | list[float] | None = INPUT,
        *,
        guidance_interval: Interval | str | None = None,
        guidance_rescale: float = 0.0,
        guided: Sequence[str] | None = None,
        spec: ModelSpec | None = None,
        strength: float | None = None,
        begin: int | None = None,
        inpaint: bool = False,
        pre: Sequence[nn.Module] = (),
        post: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec or spec_of(model)
        self.task, scheduler = task_of(scheduler, strength, begin, inpaint)
        self.scheduler = scheduler
        self.inputs = (*self.task.inputs, *scheduler.inputs)
        for own in self.inputs:
            if self.spec.condition(own.name):
                raise OptionError(f"the model and {scheduler.name} both take {own.name!r}; rename the model's")
        interval = Interval.parse(guidance_interval) if isinstance(guidance_interval, str) else guidance_interval
        scale = tuple(guidance_scale) if isinstance(guidance_scale, list) else guidance_scale
        names = tuple(guided) if guided is not None else self.spec.guided
        guidance = Guidance(scale, names, interval, guidance_rescale)
        self.guidance = guidance if scheduler.apart else guidance.pruned()
        self.denoiser = Denoiser(model, self.spec, scheduler, self.guidance)
        self.profile: Profile = self.denoiser.profile
        fronts = [each if isinstance(each, Front) else Front(each) for each in pre]
        takes, own_names = _conditions_of(model, self.spec)[0], [each.name for each in self.inputs]
        self.entrance = Entrance(fronts, takes, own_names, self.guidance, self.spec)
        self.pre = nn.ModuleList(self.entrance.inlet.fronts)
        self.post = post if isinstance(post, Back) or post is None else Back(post)

    @property
    def model(self) -> nn.Module:
        """The wrapped network."""
        return network_of(self.denoiser.network)

    def rewired(self, network: nn.Module) -> Sampler:
        """The same sampler over another network of the same declaration."""
        own = self.guidance
        other = Sampler(
            network,
            self.scheduler,
            own.scale,
            guidance_interval=own.interval,
            guidance_rescale=own.rescale,
            guided=own.guided,
            spec=self.spec,
        )
        other.entrance, other.pre, other.post = self.entrance, self.pre, self.post
        other.task, other.inputs = self.task, self.inputs
        other.denoiser.dtype = self.denoiser.dtype
        return other

    def condition_inputs(self, conditions: Iterable[str]) -> list[str]:
        """Names of all condition inputs for these model conditions: negatives and the scale included."""
        names = list(conditions)
        negatives = [NEGATIVE + name for name in self.guidance.negatives(names, self.spec)]
        scale = [SCALE] if self.guidance.scale == INPUT and self.guided(names) else []
        return names + negatives + scale

    def guided(self, conditions: list[str]) -> list[str]:
        """Those of the model's conditions that are guided; empty where guidance does not apply.

        Raises:
            OptionError: there are none, and a guidance or the scheduler asks for some.
        """
        names = self.guidance.names(conditions)
        if self.scheduler.apart and not names:
            raise OptionError(
                f"{self.scheduler.name} with cfg_pp reads the unconditional prediction, and this model has no "
                "condition to guide; give cfg_pp=False"
            )
        return names

    def model_conditions(self, given: Iterable[str]) -> list[str]:
        """Names in ``given`` that are the model's own conditions, in order.

        Raises:
            OptionError: a condition the model does not take, or one it needs and is not given.
        """
        own = [each.name for each in self.inputs]
        names = [name for name in given if name not in (SCALE, *own) and not name.startswith(NEGATIVE)]
        takes, needs = _conditions_of(self.model, self.spec)
        for name in names:
            if takes is not None and name not in takes:
                raise OptionError(
                    f"condition {name!r} is not known to the model, which takes {', '.join(takes) or 'none'}"
                    f"{suggest(name, takes)}"
                )
        missing = [name for name in needs if name not in names]
        if missing:
            raise OptionError(f"condition {missing[0]!r} is missing; the model takes {', '.join(takes or needs)}")
        return names

    def forward(
        self, noise: torch.Tensor | None = None, step_noise: torch.Tensor | None = None, **conditions: torch.Tensor
    ) -> torch.Tensor:
        """Map unit noise to a sample.

        Args:
            noise: (B, ...), unit normal; None where the sampler inverts.
            step_noise: (K, B, ...), unit normal, where the scheduler draws K > 0 slices.
            conditions: the inputs of ``pre`` and those of the model's conditions that it does not give, one row per
                sample, ``negative_<name>`` for guided ones without a null value, ``guidance_scale`` () where it is an
                input (else the model's default), and the task's and the scheduler's own inputs: ``init_sample``
                (B, ...), ``mask`` (B, 1, ...) in [0, 1].

        Returns:
            The sample, (B, ...), or what ``post`` makes of it.

        Raises:
            OptionError: an input is missing, is not known, or has a shape or values that are not allowed.
        """
        conditions = self.entrance.encoded(conditions)
        check_ranges(self.inputs, conditions)
        return self.decoded(deque(self._samples(noise, step_noise, conditions), maxlen=1).pop())

    def samples(
        self, noise: torch.Tensor | None = None, step_noise: torch.Tensor | None = None, **conditions: torch.Tensor
    ) -> Iterator[torch.Tensor]:
        """The sample after each step of ``forward``; ``decoded`` of the last is its result. Looks at no values."""
        return self._samples(noise, step_noise, self.entrance.encoded(conditions))

    def decoded(self, sample: torch.Tensor) -> torch.Tensor:
        """The result for the final sample, (B, ...)."""
        result: torch.Tensor = sample if self.post is None else self.post(sample)
        return result

    def _samples(
        self,
        noise: torch.Tensor | None,
        step_noise: torch.Tensor | None,
        conditions: Mapping[str, torch.Tensor],
    ) -> Iterator[torch.Tensor]:
        slices = self.profile.noise_slices
        if (step_noise.shape[0] if step_noise is not None else 0) != slices:
            raise OptionError(f"step_noise has to hold {slices} slices for {self.scheduler.name}, (K, B, ...)")
        return (position.sample for position in self.walk(self.scheduler.indices, (), noise, step_noise, conditions))

    def walk(
        self,
        indices: range,
        carried: Sequence[torch.Tensor],
        noise: torch.Tensor | None,
        step_noise: torch.Tensor | None,
        conditions: Mapping[str, torch.Tensor],
    ) -> Iterator[Position]:
        """Where the sampler is after each of the steps ``indices``; looks at no values.

        Args:
            carried: the sample and the solver's state before these steps; empty before the first.
            noise: as for ``forward``.
            step_noise: the slices that these steps draw.

        Raises:
            OptionError: a condition is missing, or one is not known.
        """
        names = self.model_conditions(conditions)
        given = own_inputs(self.inputs, self.scheduler.name, conditions, noise, self.task.draws)
        conditions = {k: v for k, v in conditions.items() if k not in given}
        guided = self.guided(names)
        self._check(conditions, names)
        if guided and self.guidance.scale == INPUT and SCALE not in conditions:
            conditions = {**conditions, SCALE: torch.tensor(self.spec.guidance_scale)}
        evaluate = self.denoiser.bind(conditions, guided)
        drawn, x0 = 0, None

        def denoise(x: torch.Tensor, i: int) -> Prediction[torch.Tensor]:
            nonlocal x0
            p = evaluate(x, i)
            x0 = p.x0
            return p

        def next_slice() -> torch.Tensor:
            nonlocal drawn
            assert step_noise is not None
            drawn += 1
            return step_noise[drawn - 1]

        if carried:
            x, state, draw = carried[0], tuple(carried[1:]), next_slice
        else:
            x, draw = self.task.first_sample(self.scheduler, given, next_slice)
            state = self.scheduler.begin(x, given)
        for i in indices:
            x, state = self.scheduler.step(i, x, state, denoise, draw)
            x = self.task.after_step(self.scheduler, i, x, given)
            yield Position(x, state, x0)

    def _check(self, given: Mapping[str, object], names: list[str]) -> None:
        allowed = self.condition_inputs(names)
        for name in given:
            if name not in allowed:
                raise OptionError(f"condition {name!r} is not used by this sampler, which takes {', '.join(allowed)}")
        for name in allowed:
            if name not in given and name != SCALE:
                raise OptionError(f"condition {name!r} is missing; this sampler takes {', '.join(allowed)}")


def _conditions_of(model: nn.Module, spec: ModelSpec) -> tuple[list[str] | None, list[str]]:
    """``(takes, needs)``: conditions a model takes (None: any) and those it cannot do without."""
    if spec.conditions:
        declared = [c.name for c in spec.conditions]
        return declared, declared
    others = list(inspect.signature(model.forward).parameters.values())[2:]
    parameters = [p for p in others if p.name != spec.second_timestep]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        takes = None
    else:
        takes = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
    named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return takes, [p.name for p in named if p.default is p.empty]
