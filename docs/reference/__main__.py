"""``python -m docs.reference``: write docs/schedulers.md and its figures (``--measure``: judge all digits anew)."""

from __future__ import annotations

import argparse

from docs.reference import accuracy, convergence, grids
from docs.reference.figure import ROOT
from docs.reference.page import page

PAGE = ROOT / "docs" / "schedulers.md"


def main() -> None:
    """Text first: it is what most changes touch."""
    parser = argparse.ArgumentParser(prog="python -m docs.reference", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="judge the digits of all schedulers anew: minutes")
    options = parser.parse_args()
    PAGE.write_text(page(), encoding="utf-8")
    if options.measure:
        accuracy.write(accuracy.measure())
    accuracy.draw(accuracy.read())
    convergence.draw()
    grids.draw()


if __name__ == "__main__":
    main()
