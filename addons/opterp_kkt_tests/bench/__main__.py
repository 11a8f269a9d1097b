"""Side-by-side measurements: `make bench`, or `python addons/opterp_kkt_tests/bench PART …`, see `PARTS`.

Every figure but those of `till` and `clocks` is a ratio of medians of two things that ran interleaved, since machines are noisy.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "opterp_kkt")]

from bench import clocks, crowd, drain, sale, shift, small, till, wide  # noqa: E402  (the paths must be set first)

PARTS = {
    "sale": sale.main,
    "crowd": crowd.main,
    "drain": drain.main,
    "wide": wide.main,
    "shift": shift.main,
    "small": small.main,
    "till": till.main,
    "clocks": clocks.main,
}

if __name__ == "__main__":
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        sys.exit(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for name in chosen:
        PARTS[name]()
