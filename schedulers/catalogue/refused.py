"""Schedulers that are not here, and why."""

from __future__ import annotations

from collections.abc import Mapping

#: Name -> its diffusers class, if it has one, and the reason.
REFUSED: Mapping[str, tuple[str | None, str]] = {
    "amused": (
        "AmusedScheduler",
        "it draws tokens and their Gumbel noise from a generator inside the step, as many as are masked",
    ),
    "block_refinement": (
        "BlockRefinementScheduler",
        "it refines blocks of text until enough tokens are confident: the number of steps depends on the tokens",
    ),
    "discrete_ddim": (
        "DiscreteDDIMScheduler",
        "it draws token ids and their routes by multinomials and random integers from a generator inside the step",
    ),
    "dpm_adaptive": (
        None,
        "its step sizes depend on the sample: the number of steps is not known when the graph is made",
    ),
    "entropy_bound": (
        "EntropyBoundScheduler",
        "it accepts tokens by their entropy and draws the others as random integers inside the step",
    ),
    "rfd4_proteina": (
        "RFD4ProteinaScheduler",
        "its steps centre and rotate molecules under masks of their atoms, which samples here do not carry",
    ),
}
