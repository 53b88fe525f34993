"""One measurement in a process of its own: a job as JSON on stdin, its record as the last line of stdout."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def peak_mb() -> float | None:
    """Peak resident memory of this process in MB, where the system tells (Linux).

    ``getrusage`` will not do: it begins with the peak of the process that started this one.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return round(int(lines["VmHWM"].split()[0]) * 1024 / 1e6, 1)


def main() -> None:
    """Measure what the job says."""
    job: dict[str, Any] = json.loads(sys.stdin.read())
    part = job.pop("part")
    record = import_module(f"benchmarks.{part}").measure(**job)
    if part != "run":
        record["peak_mb"] = peak_mb()
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
