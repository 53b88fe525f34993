"""The text of docs/schedulers.md, from the registry and what was measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from docs.reference.guide import guide, table
from docs.reference.measured import read
from docs.reference.rows import rows as measured_rows
from samplegraph.export.cli.list_facts import Facts, facts_of
from samplegraph.export.cli.list_options import SHARED, Option, written
from samplegraph.schedulers import names

_TITLE = """\
# Schedulers

<!-- Written by `make docs` from the registry and from measured.json: do not edit. -->

"""
_HEAD = """\
## All schedulers

`samplegraph list` prints this table, `samplegraph list NAME` what is below for one scheduler, both also as `--json`.
 N is the number of steps, NFE the number of evaluations of the model. *Noise* is how many slices of
`step_noise` a run takes, *state* how many tensors a step hands to the next. *Affine* schedulers only combine
samples, predictions and noise linearly: a table of coefficients drives them in the layouts `step`, `repeated` and
`loop`. All of it is at default options. A k-diffusion function is named where it is the same method over the same
sigmas.

"""
_SHARED = """\
## Shared options

Options of several schedulers, under diffusers' names. diffusers' switches `use_karras_sigmas`,
`use_exponential_sigmas`, `use_beta_sigmas` and `use_lu_lambdas` stand for `respacing`.

"""


def page() -> str:
    """The whole page."""
    rows = [facts_of(name) for name in names()]
    shared = {o.name: o for f in rows for o in f.options if not o.own}
    parts = [_TITLE, guide(read(), measured_rows()), _HEAD, _overview(rows), _SHARED, _shared(shared.values())]
    return "".join([*parts, *(_section(each) for each in rows)]).rstrip() + "\n"


def _overview(rows: Sequence[Facts]) -> str:
    head = ("scheduler", "order", "NFE", "noise", "state", "affine", "paper", "diffusers", "k-diffusion")
    body = [
        [
            *(
                f"[{f.name}](#{f.name})",
                _number(f.order),
                f.nfe,
                f.noise,
                _number(f.state),
                "yes" if f.affine else "no",
            ),
            *(_link(f.paper), _code(f.diffusers), _code(f.k_diffusion)),
        ]
        for f in rows
    ]
    return table(head, body)


def _shared(options: Iterable[Option]) -> str:
    body = [[f"`{o.name}`", o.allowed or "", SHARED.get(o.name, "")] for o in sorted(options, key=lambda o: o.name)]
    return table(("option", "allowed", "meaning"), body)


def _section(f: Facts) -> str:
    uniform = " of uniform noise" if f.noise_kind == "uniform" else ""
    also = f"; inputs {', '.join(f'`{name}`' for name in f.inputs)}" if f.inputs else ""
    facts = [
        f"Order {_number(f.order)}; NFE {f.nfe}; noise slices {f.noise}{uniform}; state tensors {_number(f.state)}",
        f"; {'affine' if f.affine else 'not affine'}{also}.",
        f" Paper: {_link(f.paper)}; diffusers: {_code(f.diffusers)}; k-diffusion: {_code(f.k_diffusion)}.",
    ]
    own = [[f"`{o.name}`", _code(written(o.default)), o.allowed, _inline(o.meaning)] for o in f.options if o.own]
    own_table = table(("option", "default", "allowed", "meaning"), own) if own else ""
    shared = ", ".join(f"`{o.name}={written(o.default)}`" for o in f.options if not o.own)
    defaults = f"Shared options: {shared}.\n\n" if shared else ""
    return f"## {f.name}\n\n{_inline(f.summary)}\n\n{''.join(facts)}\n\n{own_table}{defaults}"


def _link(paper: str) -> str:
    found = re.fullmatch(r"arXiv:(\S+)", paper)
    return f"[{found[1]}](https://arxiv.org/abs/{found[1]})" if found else paper or "-"


def _code(text: str | None) -> str:
    return f"`{text}`" if text else "-"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _inline(text: str) -> str:
    """reStructuredText's literals as Markdown's, and arXiv ids as links."""
    text = text.replace("``", "`")
    return re.sub(r"arXiv:(\d{4}\.\d{5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
