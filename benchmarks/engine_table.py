"""The table of engine builds, and the place in docs/engines.md that it fills."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine_bars import bars, megabytes_a_step

HEAD = (
    "| model | layout | steps | engines | nodes | CPU s | parse s | plan MB | MB a step beyond the weights | peak MB |",
    "|---|---|---|---|---|---|---|---|---|---|",
)
_NAMES = {"digits": "`digits`", "dit": "DiT, 8 blocks", "unet": "conditional UNet", "tiny": "tiny DiT"}
_START, _END = "<!-- engine benchmark -->", "<!-- /engine benchmark -->"


def rows(records: Sequence[dict[str, Any]]) -> list[str]:
    """One line per record."""
    return [_row(record) for record in records]


def _row(r: dict[str, Any]) -> str:
    head = f"| {_NAMES[r['model']]} | `{r['layout']}` | {r['steps']} | {r['engines']} | {r['nodes']:,} |"
    if "limit" in r:
        return f"{head} over {r['limit']:,.0f} s | | | | |"
    beyond = megabytes_a_step(r)
    return (
        f"{head} {r['cpu_seconds']:.1f} | {r['parse_seconds']:.2f} | {r['bytes'] / 1e6:.1f} | {beyond:.2f} | "
        f"{r['peak_mb']:,.0f} |"
    )


def fill(path: Path, records: Sequence[dict[str, Any]], about: dict[str, Any]) -> None:
    """Put the table between the markers in ``path``.

    Raises:
        ValueError: the file lacks them.
    """
    text = path.read_text(encoding="utf-8")
    before, start, rest = text.partition(_START)
    _, end, after = rest.partition(_END)
    if not start or not end:
        raise ValueError(f"{path} lacks the markers {_START} and {_END}")
    where = f"{about['processor']}, {about['cores']} cores"
    foot = f"{where}, for {about['target']}; load {about['load_before']} at the start."
    body = "\n".join([*HEAD, *rows(records)])
    held = "\n".join(f"- {bar}" for bar in bars(records))
    path.write_text(f"{before}{start}\n{body}\n\n{foot}\n\n{held}\n{end}{after}", encoding="utf-8")
