"""The table of engine builds, and the place in docs/engines.md that it fills."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    evaluations = {"step": 1, "loop": 1}.get(r["layout"], r["steps"])
    if r["layout"].startswith("repeated"):
        evaluations = int(r["layout"].partition(":")[2])
    beyond = (r["bytes"] - r["engines"] * r["weight_bytes"]) / evaluations / 1e6
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
    path.write_text(f"{before}{start}\n{body}\n\n{foot}\n{end}{after}", encoding="utf-8")
