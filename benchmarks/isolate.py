"""Runs a measurement in a fresh process, so that neither caches nor peak memory leak from one to the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class MeasurementError(Exception):
    """A measurement failed; the message is the last line it wrote."""


def measure(part: str, limit: float, threads: int, **job: Any) -> dict[str, Any] | None:
    """The record of one measurement, or None where it took longer than ``limit`` seconds.

    Raises:
        MeasurementError: the process failed.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.worker"],
            input=json.dumps({"part": part, "threads": threads, **job}),
            capture_output=True,
            text=True,
            timeout=limit,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        what = " ".join(str(job[key]) for key in ("model", "steps", "route", "path") if key in job)
        reason = lines[-1] if lines else f"exit status {done.returncode}"
        raise MeasurementError(f"{part} {what}: {reason}")
    record: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return record
