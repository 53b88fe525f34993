"""A call costs at most 3 % or 20 microseconds more than the engine's own run."""

from __future__ import annotations

from pathlib import Path

import pytest
from overhead import digits, measure


@pytest.mark.slow
@pytest.mark.usefixtures("built")
def test_what_a_call_costs_beyond_the_engine(tmp_path: Path) -> None:
    figures = measure(digits(tmp_path), calls=100, threads=1)
    assert figures["outside_us"] <= max(20.0, 0.03 * figures["bare_us"]), figures
