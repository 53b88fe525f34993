"""What is measured: every scheduler with default options, and a few options that change what it is good for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from samplegraph.schedulers import OptionError, Scheduler, create, names, option_defaults

#: Evaluations of the model that are spent.
BUDGETS = (1, 2, 4, 8, 10, 16, 25, 50)
#: Layouts of the steps that schedulers over sigmas are tried with, and the budgets at which.
RESPACINGS, RESPACED_BUDGETS = ("karras", "exponential", "sgm_uniform", "kl_optimal", "ays_sd1"), (10, 25)
#: Schedulers that draw nothing from noise, and what they do.
APART: Mapping[str, str] = {
    "ddim_inverse": "leads from an image to its noise",
    "dpm_multistep_inverse": "leads from an image to its noise",
    "repaint": "fills in an image, in 200 evaluations at least",
}
#: Schedulers for models that were distilled for them; of another model they make little.
DISTILLED = ("flow_match_lcm", "lcm", "tcd", "consistency", "scm", "consistency_decoder", "helios_dmd", "piflow")
#: Options in place of the default ones.
VARIANTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "pndm": ({}, {"skip_prk_steps": True}),
    "karras_ve": ({}, {"corrected": True}),
    "dpm_multistep": ({}, {"respacing": "karras"}, {"use_flow_sigmas": True}),
    "unipc": ({}, {"use_flow_sigmas": True}),
    "scm": ({"sigma_data": 1.0},),
    "helios": ({"stages": 1},),
    "helios_dmd": ({"stages": 1},),
}

SINGLE, MULTI = "deterministic, single step", "deterministic, multistep"
SDE_SINGLE, SDE_MULTI = "stochastic, single step", "stochastic, multistep"
FLOW, FEW, TOKENS = "flow", "few steps, for distilled models", "tokens"
#: In the order in which they are shown.
FAMILIES = (SINGLE, MULTI, SDE_SINGLE, SDE_MULTI, FLOW, FEW, TOKENS)


@dataclass(frozen=True)
class Row:
    """A scheduler with options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """As it is written."""
        return ", ".join([self.name, *(f"{k}={v}" for k, v in self.options.items())])

    def create(self, steps: int) -> Scheduler:
        """The scheduler over this many steps."""
        return create(self.name, steps, **self.options)

    @cached_property
    def family(self) -> str:
        """Which schedulers it is compared with: by what it draws, remembers and runs on."""
        scheduler = self.create(25)
        if self.name in DISTILLED:
            return FEW
        if scheduler.classes:
            return TOKENS
        if scheduler.grid.family == "flow":
            return FLOW
        remembers = bool(scheduler.init(0.0))
        if scheduler.profile().noise_slices:
            return SDE_MULTI if remembers else SDE_SINGLE
        return MULTI if remembers else SINGLE


def rows() -> list[Row]:
    """All of them, family by family."""
    found = [Row(name, options) for name in names() if name not in APART for options in VARIANTS.get(name, ({},))]
    return sorted(found, key=lambda row: FAMILIES.index(row.family))


def respaced() -> list[Row]:
    """The schedulers that take a respacing, with each of those that are tried."""
    takes = [row.name for row in rows() if not row.options and "respacing" in option_defaults(row.name)]
    return [Row(name, {"respacing": each}) for name in takes for each in RESPACINGS if name not in DISTILLED]


def within(budgets: tuple[int, ...], make: Callable[[int], Scheduler]) -> Iterator[tuple[int, Scheduler]]:
    """For each budget that can be kept to, the NFE and the scheduler that ``make(steps)`` gives for the most steps."""
    for budget in budgets:
        steps = budget + 1
        while steps > 0:
            try:
                scheduler = make(steps)
            except OptionError:  # too few steps for it
                break
            nfe = scheduler.profile().nfe
            if nfe <= budget:
                yield nfe, scheduler
                break
            steps = min(steps - 1, steps * budget // nfe + 2)


def column(nfe: int) -> int:
    """The least budget that this many evaluations keep to."""
    return next(budget for budget in BUDGETS if nfe <= budget)
