"""The tables in README.md, from records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.suite import MAIN, ROUTES, Record

BEGIN, END = "<!-- benchmark -->", "<!-- /benchmark -->"
TITLES = {"unet": "conditional UNet", "dit": "adaLN DiT", "digits": "digits", "tiny": "tiny DiT"}
_ROUTE_TITLES = ("samplegraph", "whole loop traced, optimize=False", "whole loop traced, optimize=True")


class At:
    """The records of one model at one number of steps."""

    def __init__(self, records: Iterable[Record], model: str, steps: int) -> None:
        self.records = {
            (r["part"], r.get("route", "")): r for r in records if r["model"] == model and r["steps"] == steps
        }

    def value(self, part: str, route: str, key: str) -> float | None:
        """A figure, or None where it was not measured or the measurement was given up."""
        found = self.records.get((part, route), {}).get(key)
        return None if found is None else float(found)

    def seconds(self, part: str, route: str) -> str:
        """Seconds, and how many times ours for the other routes."""
        found = self.value(part, route, "seconds")
        if found is None:
            limit = self.value("compile", route, "limit") if part == "compile" else None
            return "" if limit is None else f"over {limit:,.0f} s"
        return f"{_short(found)} s{self._times(found, self.value(part, ROUTES[0], 'seconds'), route)}"

    def size(self, key: str, divisor: float, unit: str) -> Callable[[str], str]:
        """A figure of the compilation by route."""

        def cell(route: str) -> str:
            found = self.value("compile", route, key)
            return "" if found is None else f"{_short(found / divisor) if unit else f'{found:,.0f}'}{unit}"

        return cell

    def file(self, route: str) -> str:
        """Size of the file; of ours, how much of it is weights."""
        text = self.size("bytes", 1e6, " MB")(route)
        weights = self.value("compile", route, "weight_bytes")
        if not text or not weights or route != ROUTES[0]:
            return text
        return f"{text} (weights {_short(weights / 1e6)})"

    def ratio(self, name: str, key: str) -> str:
        """Whole graph against one host loop."""
        ratio, whole, host = (self.value("run", "", k) for k in (key, "whole_ms", f"{name}_ms"))
        if ratio is None or whole is None or host is None:
            return ""
        return f"{ratio:.2f}x ({_short(whole)} against {_short(host)} ms)"

    def speedup(self) -> str:
        """Guidance everywhere against guidance in an interval."""
        times, full, inside = (self.value("guidance", "", k) for k in ("speedup", "full_ms", "interval_ms"))
        if times is None or full is None or inside is None:
            return ""
        return f"{times:.2f}x faster ({_short(inside)} against {_short(full)} ms)"

    def rows(self) -> list[list[str]]:
        """Label and one cell per route."""
        lines: list[tuple[str, Callable[[str], str]]] = [
            ("compile + save", lambda route: self.seconds("compile", route)),
            ("peak memory", self.size("peak_mb", 1.0, " MB")),
            ("nodes", self.size("nodes", 1.0, "")),
            ("file", self.file),
            ("session load", lambda route: self.seconds("load", route)),
        ]
        made = [[label, *(cell(route) for route in ROUTES)] for label, cell in lines]
        return [row for row in made if any(row[1:])]

    @staticmethod
    def _times(found: float, own: float | None, route: str) -> str:
        return f" ({found / own:.1f}x)" if own and route != ROUTES[0] else ""


def render(records: Sequence[Record], machine: dict[str, Any]) -> str:
    """Routes side by side, run times, the curve over steps, and what it was measured on, as Markdown."""
    models = list(dict.fromkeys(str(r["model"]) for r in records))
    main = {model: At(records, model, _main_steps(records, model)) for model in models}
    titles = {model: f"{TITLES[model]}, {_main_steps(records, model)} steps" for model in models}
    routes = [[f"{titles[m]}: {row[0]}", *row[1:]] for m in models for row in main[m].rows()]
    hosts = (("host", "ratio"), ("host_captured", "ratio_captured"))
    runs = [[titles[m], *(main[m].ratio(*host) for host in hosts)] for m in models]
    parts = [
        _markdown(["", *_ROUTE_TITLES], routes),
        _markdown(
            ["run: one graph against a host loop", "over the exported network", "over our capture of it"],
            [row for row in runs if any(row[1:])],
        ),
        _markdown(
            ["run: guidance in half of the steps", "against guidance everywhere"],
            [[titles[m], cell] for m in models if (cell := main[m].speedup())],
        ),
        *(_curve(records, model) for model in models),
        _about(machine),
    ]
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


def _curve(records: Sequence[Record], model: str) -> str:
    """Figures over the number of steps, where there are several."""
    steps = sorted({int(r["steps"]) for r in records if r["model"] == model})
    if len(steps) < 2:
        return ""
    at = [At(records, model, n) for n in steps]
    lines = [
        *(
            (f"{label}, {title}", [each.seconds(part, route) for each in at])
            for part, label in (("compile", "compile"), ("load", "load"))
            for route, title in zip(ROUTES, _ROUTE_TITLES, strict=True)
        ),
        ("file", [each.size("bytes", 1e6, " MB")(ROUTES[0]) for each in at]),
        ("nodes", [each.size("nodes", 1.0, "")(ROUTES[0]) for each in at]),
        ("run", [each.ratio("host", "ratio") for each in at]),
    ]
    rows = [[label, *(cell or "–" for cell in cells)] for label, cells in lines if any(cells)]
    return _markdown([f"{TITLES[model]}, by steps", *map(str, steps)], rows)


def _main_steps(records: Iterable[Record], model: str) -> int:
    steps = {int(r["steps"]) for r in records if r["model"] == model}
    return MAIN if MAIN in steps else max(steps)


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _about(machine: dict[str, Any]) -> str:
    versions = machine["versions"]
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, "
        f"{machine['system']}; torch {versions['torch']}, onnxruntime {versions['onnxruntime']}; "
        f"load average {machine['load_before']} before, {machine['load_after']} after. "
        "DDIM under classifier-free guidance, batch 1, float32. Seconds do not count imports; peak memory is "
        "that of a fresh process."
    )
