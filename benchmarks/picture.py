"""Draw the picture of the README from the stored results: float32, one thread.

python benchmarks/picture.py [--results benchmarks/results] [--out docs/pictures/speed.png]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from harness import plots

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Read ``table.json`` and draw its main rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/pictures/speed.png")
    options = parser.parse_args()
    stored = json.loads((options.results / "table.json").read_text("utf-8"))
    records = [r for r in stored["results"] if (r["dtype"], r["threads"]) == ("float32", 1)]
    plots.steps_over_floor(records, stored["machine"]["processor"], options.out)
    print(options.out)


if __name__ == "__main__":
    main()
