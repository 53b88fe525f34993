"""``python -m samplegraph.export --scheduler ddim --steps 25``: the same command line."""

import sys

from samplegraph.export.cli import main

if __name__ == "__main__":
    sys.exit(main(program="export"))
