"""The schedulers by name, and their construction from options."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

from samplegraph.schedulers.base import Scheduler
from samplegraph.schedulers.catalogue.refused import REFUSED
from samplegraph.schedulers.catalogue.respacing_flags import fold_respacing, refuse_respaced_tables
from samplegraph.schedulers.catalogue.vocabulary import IDENTIFIERS
from samplegraph.schedulers.errors import OptionError, suggest
from samplegraph.schedulers.grids.grid import step_count
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.grids.spacing import numbers
from samplegraph.schedulers.prediction import Parameterisation, PredictionOptions

#: name == file stem == command-line name -> class in that file. Adding a scheduler adds one line here.
REGISTRY: Mapping[str, str] = {
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "euler": "Euler",
    "euler_ancestral": "EulerAncestral",
    "heun": "Heun",
    "dpm_multistep": "DPMMultistep",
    "deis": "DEIS",
    "unipc": "UniPC",
    "dpm_singlestep": "DPMSinglestep",
    "lms": "LMS",
    "pndm": "PNDM",
    "kdpm2": "KDPM2",
    "kdpm2_ancestral": "KDPM2Ancestral",
    "ddim_inverse": "DDIMInverse",
    "score_sde_vp": "ScoreSdeVP",
    "karras_ve": "KarrasVE",
    "score_sde_ve": "ScoreSdeVE",
    "repaint": "RePaint",
    "ipndm": "IPNDM",
    "vq_diffusion": "VQDiffusion",
    "flow_match_euler": "FlowMatchEuler",
    "flow_match_heun": "FlowMatchHeun",
    "flow_match_lcm": "FlowMatchLCM",
    "flow_map": "FlowMap",
    "lcm": "LCM",
    "tcd": "TCD",
    "edm_euler": "EDMEuler",
    "edm_dpm": "EDMDPM",
    "consistency": "Consistency",
    "dpmpp_2s_ancestral": "DPMPP2SAncestral",
    "dpmpp_2m_sde": "DPMPP2MSDE",
    "dpmpp_3m_sde": "DPMPP3MSDE",
    "res_multistep": "RESMultistep",
    "exp_heun_2": "ExpHeun2",
    "seeds_2": "SEEDS2",
    "seeds_3": "SEEDS3",
    "er_sde": "ERSDE",
    "gradient_estimation": "GradientEstimation",
    "heunpp2": "HeunPP2",
    "ipndm_v": "IPNDMV",
    "dpm_multistep_inverse": "DPMMultistepInverse",
    "dpm_sde": "DPMSDE",
    "cosine_dpm": "CosineDPM",
    "scm": "SCM",
    "consistency_decoder": "ConsistencyDecoder",
    "unclip": "UnCLIP",
    "wuerstchen": "Wuerstchen",
    "cogvideox_ddim": "CogVideoXDDIM",
    "cogvideox_dpm": "CogVideoXDPM",
    "ltx_euler_ancestral": "LTXEulerAncestral",
    "minimax_h3": "MiniMaxH3",
    "sa_solver": "SASolver",
    "helios": "Helios",
    "helios_dmd": "HeliosDMD",
    "piflow": "PiFlow",
    "dpm_fast": "DPMFast",
    "restart": "Restart",
}

#: More steps than any sampler is run with; tables and plans of more would only take time and memory.
MAX_STEPS = 5000

#: k-diffusion's and ComfyUI's identifiers.
_ALIASES = {named.name: named for named in IDENTIFIERS if named.name not in REGISTRY}
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {"dpm_adaptive": ("sample_dpm_adaptive",)}

#: Options that are sequences of numbers: lists, arrays and tensors become tuples of floats.
_SEQUENCES = ("timesteps", "sigmas", "trained_betas", "ramp", "flow_sigmas", "angles", "times", "stage_range")
#: Those of them that have one entry for each step.
_POINTS = ("ramp", "flow_sigmas", "timesteps")
#: Those of them that have one more, unless the scheduler reworks its tables.
_WITH_ENDS = ("sigmas", "angles", "times")


def names() -> tuple[str, ...]:
    """All scheduler names, in the order of the registry."""
    return tuple(REGISTRY)


def scheduler_class(name: str) -> type[Scheduler]:
    """The class behind ``name``, one of ``names()``, or the name that another program has for one (see ``own_name``).

    Raises:
        OptionError: no such scheduler; the nearest name is suggested.
    """
    own = own_name(name)
    cls: type[Scheduler] = getattr(import_module(f"samplegraph.schedulers.{own}"), REGISTRY[own])
    return cls


def own_name(name: str) -> str:
    """Ours for ``name``: one of ``names()``, another program's identifier, or the name of a class of diffusers.

    Raises:
        OptionError: as ``scheduler_class`` raises.
    """
    if name in REGISTRY:
        return name
    if name in _ALIASES:
        return _ALIASES[name].scheduler
    for refused, (diffusers, why) in REFUSED.items():
        if name in (refused, diffusers, *_OTHER_NAMES.get(refused, ())):
            raise OptionError(f"scheduler={name!r} is not among the schedulers: {why}; choose another")
    if name in diffusers_classes():
        return diffusers_classes()[name]
    near = suggest(name, REGISTRY) or "; choose one of " + ", ".join(list(REGISTRY)[:8]) + " ..."
    raise OptionError(
        f"scheduler={name!r} is not known{near} (`samplegraph list` has all {len(REGISTRY)}, "
        "`samplegraph list --find NAME` what other programs call them)"
    )


@cache
def diffusers_classes() -> Mapping[str, str]:
    """Every class of diffusers that a scheduler stands for, with our name for it."""
    classes = {name: scheduler_class(name) for name in REGISTRY}
    each = {name: (cls.diffusers_class, *cls.diffusers_twins) for name, cls in classes.items()}
    return {found: name for name, known in each.items() for found in known if found}


def compatibles(name: str) -> tuple[str, ...]:
    """The schedulers that a model which ``name`` samples from can swap to, ``name`` included: those of numbers all
    among each other, since a declared noise schedule is mapped to the scheduler's grid, and those of tokens.

    Raises:
        OptionError: no such scheduler.
    """
    kind = scheduler_class(name).sample_dtype
    return tuple(other for other in REGISTRY if scheduler_class(other).sample_dtype == kind)


def own_defaults(cls: type[Scheduler]) -> dict[str, Any]:
    """The options that the class itself takes, beside those of its grid and prediction."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def option_defaults(name: str) -> dict[str, Any]:
    """Every option that ``create(name, ...)`` takes, with its default."""
    cls = scheduler_class(name)
    meant = _ALIASES[name].options if name in _ALIASES else {}
    return {**own_defaults(cls), **cls.prediction_defaults, **cls.grid_defaults, **meant}


def create(name: str, steps: int | None = None, **options: Any) -> Scheduler:
    """Build a scheduler over its grid.

    Args:
        name: one of ``names()``, k-diffusion's or ComfyUI's identifier, which may stand for options too, or the name of
            a class of diffusers.
        steps: number of steps N; may be left out where ``timesteps`` or ``sigmas`` are given.
        options: those of ``option_defaults(name)``; diffusers' ``use_karras_sigmas`` and its like stand for
            ``respacing``.

    Raises:
        OptionError: unknown name or option, a value that is not allowed, options that exclude each other, or
            tables that would give NaN.
    """
    return build(name, steps, options)


def build(name: str, steps: int | None, options: Mapping[str, Any], begin: int = 0) -> Scheduler:
    """``create`` for a run that begins at step ``begin`` of N (see ``starting_at``)."""
    cls = scheduler_class(name)
    defaults = option_defaults(name)
    given = fold_respacing(name, options, defaults)
    for key in given:
        if key not in defaults:
            raise OptionError(
                f"{key!r} is not an option of {name}; its options are {', '.join(sorted(defaults))}"
                f"{suggest(key, defaults)}"
            )
    config = {**defaults, **given}
    for key in _SEQUENCES:
        if config.get(key) is not None:
            config[key] = tuple(numbers(key, config[key]).tolist())
    if not cls.reworks_tables:
        refuse_respaced_tables(config)
    given_points = next((config[k] for k in _POINTS if config.get(k) is not None), None)
    with_ends = next((config[k] for k in _WITH_ENDS if config.get(k) is not None), None)
    count = step_count(steps, given_points, with_ends, with_end=not cls.reworks_tables)
    grid_options = GridOptions.of({k: config[k] for k in cls.grid_defaults} | {"begin": begin})
    last = grid_options.schedule.num_train_timesteps
    if count > last and grid_options.sigmas is None and "num_train_timesteps" in defaults:
        raise OptionError(f"steps={count} is more than num_train_timesteps={last}; give at most {last}")
    if count > MAX_STEPS:
        raise OptionError(f"steps={count} is not allowed; give at most {MAX_STEPS}")
    grid = replace(cls.build_grid(count, grid_options), begin=begin)
    prediction = PredictionOptions(**{k: config[k] for k in cls.prediction_defaults})
    scheduler = cls(grid, prediction, **{k: config[k] for k in own_defaults(cls)})
    scheduler.name = own_name(name)
    scheduler.config = config
    points = scheduler.profile().points
    if prediction.prediction_type is not None:
        network = Parameterisation.of(scheduler.grid, prediction.prediction_type)
        network.refuse_blind(prediction, scheduler.grid, points)
    return scheduler
