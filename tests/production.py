"""The loops of diffusers' pipelines for classes whose ``step`` takes more than (output, timestep, sample)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diffusers
import torch
from reference import SHAPE, Smooth, diffusers_loop, diffusers_scheduler

Options = Mapping[str, Any]
Loop = Callable[..., torch.Tensor]


def _made(class_name: str, config: Options, steps: int | None, set_kwargs: Options | None) -> tuple[Any, Any, Any]:
    scheduler = diffusers_scheduler(class_name, config)
    scheduler.set_timesteps(*([] if steps is None else [steps]), **(set_kwargs or {}))
    generator = torch.Generator().manual_seed(0)
    return scheduler, generator, torch.randn(SHAPE, generator=generator) * getattr(scheduler, "init_noise_sigma", 1.0)


def unclip(class_name: str, config: Options, steps: int, *, set_kwargs: Options, step_kwargs: Options) -> torch.Tensor:
    """``UnCLIPPipeline``: each step is told where the next one starts."""
    scheduler, generator, x = _made(class_name, config, steps, set_kwargs)
    following = [*scheduler.timesteps[1:], None]
    for t, t_next in zip(scheduler.timesteps, following, strict=True):
        output = Smooth()(x, t.expand(SHAPE[0]))
        x = scheduler.step(output, t, x, prev_timestep=t_next, generator=generator).prev_sample
    return x


def without_end(
    class_name: str, config: Options, steps: int | None, *, set_kwargs: Options, step_kwargs: Options
) -> torch.Tensor:
    """``SanaSprintPipeline`` and ``WuerstchenDecoderPipeline``: the last timestep is where sampling ends."""
    count = len(set_kwargs["timesteps"]) - 1 if steps is None and class_name == "SCMScheduler" else steps
    scheduler, generator, x = _made(class_name, config, count, set_kwargs)
    for t in scheduler.timesteps[:-1]:
        told = t.expand(SHAPE[0])
        at = t if class_name == "SCMScheduler" else told
        x = scheduler.step(Smooth()(x, told), at, x, generator=generator).prev_sample
    return x


def cogvideox_dpm(
    class_name: str, config: Options, steps: int, *, set_kwargs: Options, step_kwargs: Options
) -> torch.Tensor:
    """``CogVideoXPipeline``: each step is handed the x0 and the timestep of the one before."""
    scheduler, generator, x = _made(class_name, config, steps, set_kwargs)
    before, x0 = None, None
    for t in scheduler.timesteps:
        output = Smooth()(x, t.expand(SHAPE[0]))
        x, x0 = scheduler.step(output, x0, t, before, x, generator=generator, return_dict=False)
        before = t
    return x


def helios_dmd(
    class_name: str, config: Options, steps: int, *, set_kwargs: Options, step_kwargs: Options
) -> torch.Tensor:
    """``HeliosPyramidPipeline``, one stage: every step is handed the stage's first sample, as one video."""
    scheduler, _, x = _made(class_name, config, steps, set_kwargs)
    told = scheduler.timesteps
    tables = {"dmd_sigmas": scheduler.sigmas, "dmd_timesteps": told, "all_timesteps": told}
    start = x[None]
    for i, t in enumerate(told):
        output = Smooth()(x, t.expand(SHAPE[0]))[None]
        x = scheduler.step(output, t, x[None], cur_sampling_step=i, dmd_noisy_tensor=start, **tables).prev_sample[0]
    return x


#: Class -> loop; the others have the plain one.
LOOPS: dict[str, Loop] = {
    "UnCLIPScheduler": unclip,
    "SCMScheduler": without_end,
    "DDPMWuerstchenScheduler": without_end,
    "CogVideoXDPMScheduler": cogvideox_dpm,
    "HeliosDMDScheduler": helios_dmd,
}


def production_loop(class_name: str, config: Options, steps: int | None, **more: Any) -> torch.Tensor:
    """The loop of the pipeline that runs this class."""
    return LOOPS.get(class_name, diffusers_loop)(class_name, config, steps, **more)


def sa_solver_pece(config: Options, steps: int) -> torch.Tensor:
    """Diffusers' own steps of SA-Solver, the predictor's taken again from an evaluation of the corrected sample."""
    scheduler, generator, x = _made("SASolverScheduler", config, steps, None)
    for i, t in enumerate(scheduler.timesteps):
        x = scheduler.step(Smooth()(x, t.expand(SHAPE[0])), t, x, generator=generator).prev_sample
        if i:
            corrected, noise = scheduler.last_sample, scheduler.last_noise
            scheduler._step_index -= 1
            again = scheduler.convert_model_output(Smooth()(corrected, t.expand(SHAPE[0])), sample=corrected)
            scheduler.model_outputs[-1] = again
            order, tau = scheduler.this_predictor_order, scheduler.tau_func(t)
            x = scheduler.stochastic_adams_bashforth_update(again, sample=corrected, noise=noise, order=order, tau=tau)
            scheduler._step_index += 1
    return x


def brownian_sde(config: Options, steps: int, s_noise: float) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Diffusers' stochastic DPM-Solver, and the increments of its tree: to the middle of each step, and on from there.

    The tree gives that to the middle and that of the whole step; what is left is the increment between.
    """
    from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

    scheduler = diffusers.DPMSolverSDEScheduler(**config)
    scheduler.set_timesteps(steps)
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)) * scheduler.init_noise_sigma
    sigmas, asked = scheduler.sigmas, []
    if steps > 1:
        tree = BrownianTreeNoiseSampler(x, float(sigmas[sigmas > 0].min()), float(sigmas.max()), 3)

        def noise(here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
            asked.append((float(here), float(there), tree(here, there)))
            return asked[-1][2]

        scheduler.noise_sampler = noise
    for t in scheduler.timesteps:
        output = Smooth()(scheduler.scale_model_input(x, t), t.expand(SHAPE[0]))
        x = scheduler.step(output, t, x, s_noise=s_noise).prev_sample
    slices = []
    for (here, middle, first), (_, there, whole) in zip(asked[::2], asked[1::2], strict=True):
        rest = whole.double() * (here - there) ** 0.5 - first.double() * (here - middle) ** 0.5
        slices += [first, (rest / (middle - there) ** 0.5).float()]
    return x, slices


def brownian_cosine(config: Options, steps: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Diffusers' cosine DPM-Solver, and the increments of its tree over each step."""
    from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

    scheduler = diffusers.CosineDPMSolverMultistepScheduler(**config)
    scheduler.set_timesteps(steps)
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)) * scheduler.init_noise_sigma
    ends = {"sigma_min": scheduler.config.sigma_min, "sigma_max": scheduler.config.sigma_max}
    tree = BrownianTreeNoiseSampler(x, **ends, seed=0)
    slices = [tree(scheduler.sigmas[i], scheduler.sigmas[i + 1]) for i in range(steps)]
    for t in scheduler.timesteps:
        output = Smooth()(scheduler.scale_model_input(x, t), t.expand(SHAPE[0]))
        x = scheduler.step(output, t, x, generator=torch.Generator().manual_seed(0)).prev_sample
    return x, slices
