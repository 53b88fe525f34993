"""Random and damaged scheduler configs: ``from_config`` gives a usable scheduler or an ``OptionError``, and soon."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaign.mutations import mutate_json, mutate_value

from samplegraph.schedulers import OptionError, from_config, names, option_defaults, save_config
from samplegraph.schedulers.catalogue.registry import scheduler_class

#: Seconds for one config; the slowest good one takes a tenth of this.
LIMIT = 20
#: Values that fit some option, so that mutations combine good with bad.
PLAUSIBLE = [
    True,
    False,
    None,
    0,
    1,
    2,
    3,
    0.5,
    1.0,
    100,
    1000,
    "linear",
    "scaled_linear",
    "squaredcos_cap_v2",
    "epsilon",
]
PLAUSIBLE += [
    "v_prediction",
    "sample",
    "leading",
    "trailing",
    "linspace",
    "sde-dpmsolver++",
    "dpmsolver",
    "zero",
    "bh1",
]
PLAUSIBLE += ["sigma_min", "midpoint", "heun", "log_linear", "fixed_large", "learned", [900, 500, 100], [5.0, 1.0, 0.0]]
FOREIGN = [
    "use_karras_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
    "clip_sample_range",
    "_diffusers_version",
    "spam",
    "shift",
]


@contextmanager
def time_limit() -> Iterator[None]:
    """Fail where the block takes longer than ``LIMIT`` seconds."""

    def expired(*_: object) -> None:
        pytest.fail(f"took more than {LIMIT} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def config_of(name: str, seed: int) -> tuple[dict[str, Any], int | None, dict[str, Any]]:
    """A config with some wrong values, a number of steps and options."""
    draw = random.Random(f"{name} {seed}")
    defaults = option_defaults(name)
    config: dict[str, Any] = {"_class_name": scheduler_class(name).diffusers_class}
    for key in draw.sample(sorted(defaults), k=draw.randrange(min(len(defaults), 8))):
        config[key] = draw.choice(
            [defaults[key], defaults[key], draw.choice(PLAUSIBLE), mutate_value(defaults[key], draw)]
        )
    if draw.random() < 0.3:
        config[draw.choice(FOREIGN)] = draw.choice(PLAUSIBLE)
    options = {}
    if draw.random() < 0.3:
        key = draw.choice(sorted(defaults))
        options[key] = draw.choice([draw.choice(PLAUSIBLE), mutate_value(defaults[key], draw)])
    steps = draw.choice([1, 2, 3, 8, 8, 25, 25, 0, -1, None, True, 1001, 2.0, "3", 10**12])
    return config, steps, options


def check(config: Any, steps: Any, options: dict[str, Any]) -> bool:
    """Whether it made a scheduler; all its tables are numbers then."""
    try:
        with time_limit():
            made = from_config(config, steps, **options)
    except OptionError as error:
        if not 10 < len(str(error)) < 2000:
            raise AssertionError(f"an error of {len(str(error))} characters") from error
        return False
    grid = made.grid
    for table in (grid.timesteps, grid.alpha, grid.alpha_next, grid.sigma_next, grid.input_scale):
        assert np.isfinite(table).all()
    return True


def seeds(fast: int, slow: int) -> pytest.MarkDecorator:
    """``first`` and ``last`` seed: few for ``make test``, the others slow. Each scheduler has seeds of its own."""
    return pytest.mark.parametrize(("first", "last"), [(0, fast), pytest.param(fast, slow, marks=pytest.mark.slow)])


@pytest.mark.parametrize("name", [name for name in names() if scheduler_class(name).diffusers_class])
@seeds(8, 80)
def test_random_configs(name: str, first: int, last: int) -> None:
    wrong, made = [], 0
    for seed in range(first, last):
        config, steps, options = config_of(name, seed)
        try:
            made += check(config, steps, options)
        except Exception as error:
            wrong.append(f"seed {seed}: {config}, {steps}, {options}: {type(error).__name__}: {error}")
    assert wrong == []
    assert made or last < 20  # some have to be good: this is about values in combination


@pytest.mark.parametrize("name", [name for name in names() if scheduler_class(name).diffusers_class])
@seeds(2, 25)
def test_damaged_config_files(name: str, first: int, last: int, tmp_path: Path) -> None:
    path = tmp_path / "scheduler_config.json"
    cls = scheduler_class(name)
    steps = cls.diffusers_steps[0] if cls.diffusers_steps else 10
    save_config(from_config({"_class_name": cls.diffusers_class}, steps), path)
    good, wrong = json.loads(path.read_text(encoding="utf-8")), []
    for seed in range(first, last):
        text = mutate_json(good, seed)
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            check(path, steps, {})
        except Exception as error:
            wrong.append(f"seed {seed}: {text}: {type(error).__name__}: {error}")
    assert wrong == []
