"""The tables in README.md, from records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.suite import MAIN, Record

BEGIN, END = "<!-- benchmark -->", "<!-- /benchmark -->"
TITLES = {"unet": "conditional UNet", "dit": "adaLN DiT", "digits": "digits", "tiny": "tiny DiT"}
_TRACED, _OPTIMISED = "traced", "traced-optimised"


def render(records: Sequence[Record], machine: dict[str, Any]) -> str:
    """Main table over the models, curve over steps, and what they were measured on, as Markdown."""
    parts = [_main(records), _curve(records), _about(machine)]
    return "\n\n".join(part for part in parts if part) + "\n"


def write(readme: Path, text: str) -> None:
    """Put ``text`` between the markers.

    Raises:
        ValueError: the markers are not there.
    """
    page = readme.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} lacks the markers {BEGIN} and {END}; put them where the table goes")
    readme.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def _main(records: Sequence[Record]) -> str:
    models = list(dict.fromkeys(r["model"] for r in records))
    steps = {model: _main_steps(records, model) for model in models}
    rows = []
    for label, cell in _CELLS:
        cells = [cell(_at(records, model, steps[model])) for model in models]
        if any(cells):
            rows.append([label, *(c or "–" for c in cells)])
    header = [f"{TITLES.get(model, model)}, {steps[model]} steps" for model in models]
    return _markdown(["", *header], rows)


def _curve(records: Sequence[Record]) -> str:
    """Per number of steps, for the first model that was measured at more than one."""
    for model in dict.fromkeys(r["model"] for r in records):
        steps = sorted({r["steps"] for r in records if r["model"] == model})
        if len(steps) > 1:
            break
    else:
        return ""
    rows = []
    for label, cell in _CELLS:
        cells = [cell(_at(records, model, n)) for n in steps]
        if any(cells):
            rows.append([label, *(c or "–" for c in cells)])
    return _markdown([f"{TITLES.get(model, model)}, steps", *map(str, steps)], rows)


class _At:
    """The records of one model at one number of steps."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = {(r["part"], r.get("route", "")): r for r in records}

    def value(self, part: str, route: str, key: str) -> float | None:
        """A figure, or None where it was not measured or the measurement was given up."""
        found = self.records.get((part, route), {}).get(key)
        return None if found is None else float(found)

    def limit(self, route: str) -> float | None:
        """The seconds after which a compilation was given up."""
        record = self.records.get(("compile", route), {})
        return float(record["limit"]) if "limit" in record else None


def _at(records: Iterable[Record], model: str, steps: int) -> _At:
    return _At(r for r in records if r["model"] == model and r["steps"] == steps)


def _main_steps(records: Iterable[Record], model: str) -> int:
    steps = {int(r["steps"]) for r in records if r["model"] == model}
    return MAIN if MAIN in steps else max(steps)


def _seconds(part: str, route: str) -> Any:
    def cell(at: _At) -> str:
        own = at.value(part, "ours", "seconds")
        found = at.value(part, route, "seconds")
        if found is None:
            limit = at.limit(route) if part == "compile" else None
            return "" if limit is None else f"over {limit:.0f} s"
        return f"{_short(found)} s{_times(found, own) if route != 'ours' else ''}"

    return cell


def _figure(part: str, route: str, key: str, form: str, divisor: float = 1.0) -> Any:
    def cell(at: _At) -> str:
        found = at.value(part, route, key)
        return "" if found is None else form.format(found / divisor)

    return cell


def _beside_weights(at: _At) -> str:
    size, weights = at.value("compile", "ours", "bytes"), at.value("compile", "ours", "weight_bytes")
    if size is None or weights is None:
        return ""
    return f"{size / 1e6:.1f} MB (weights {weights / 1e6:.1f})"


def _ratio(at: _At) -> str:
    ratio = at.value("run", "", "ratio")
    whole, host = at.value("run", "", "whole_ms"), at.value("run", "", "host_ms")
    if ratio is None or whole is None or host is None:
        return ""
    return f"**{ratio:.2f}x** ({_short(whole)} against {_short(host)} ms)"


_CELLS: list[tuple[str, Any]] = [
    ("compile + save", _seconds("compile", "ours")),
    ("whole-loop tracing, optimize=False", _seconds("compile", _TRACED)),
    ("whole-loop tracing, optimize=True", _seconds("compile", _OPTIMISED)),
    ("peak memory of compiling", _figure("compile", "ours", "peak_mb", "{:,.0f} MB")),
    ("tracing, optimize=False", _figure("compile", _TRACED, "peak_mb", "{:,.0f} MB")),
    ("tracing, optimize=True", _figure("compile", _OPTIMISED, "peak_mb", "{:,.0f} MB")),
    ("nodes", _figure("compile", "ours", "nodes", "{:,.0f}")),
    ("tracing, optimize=False", _figure("compile", _TRACED, "nodes", "{:,.0f}")),
    ("tracing, optimize=True", _figure("compile", _OPTIMISED, "nodes", "{:,.0f}")),
    ("file", _beside_weights),
    ("tracing, optimize=False", _figure("compile", _TRACED, "bytes", "{:.1f} MB", 1e6)),
    ("tracing, optimize=True", _figure("compile", _OPTIMISED, "bytes", "{:.1f} MB", 1e6)),
    ("session load", _seconds("load", "ours")),
    ("tracing, optimize=False", _seconds("load", _TRACED)),
    ("tracing, optimize=True", _seconds("load", _OPTIMISED)),
    ("run, against a host loop", _ratio),
]


def _times(found: float, own: float | None) -> str:
    return f" ({found / own:.1f}x)" if own else ""


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _about(machine: dict[str, Any]) -> str:
    versions = machine["versions"]
    named = ", ".join(f"{name} {versions[name]}" for name in ("torch", "onnxruntime"))
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, {machine['system']}; "
        f"{named}; load {machine['load_before']} before, {machine['load_after']} after."
    )
