"""Side-by-side measurements: `make bench`, or `python addons/opterp_kkt_tests/bench PART …`, see `PARTS`.

Nearly every figure is a ratio of two things that ran interleaved, since machines are noisy. Those that have a bound say whether
they keep it, and the end is 1 when one does not. Table and chart are left in the folder `.run/bench`.
"""

import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "opterp_kkt")]

from bench import (  # noqa: E402  (the paths must be set first)
    chart,
    crowd,
    drain,
    growth,
    others,
    reach,
    sale,
    shift,
    small,
    snapshot,
    takeover,
    till,
    wide,
)
from bench.figures import FIGURES, describe_machine, get_short, write_table  # noqa: E402

PARTS = {
    "sale": sale.main,
    "crowd": crowd.main,
    "drain": drain.main,
    "others": others.main,
    "wide": wide.main,
    "snapshot": snapshot.main,
    "growth": growth.main,
    "takeover": takeover.main,
    "shift": shift.main,
    "small": small.main,
    "till": till.main,
    "reach": reach.main,
}

KEPT = Path(__file__).resolve().parents[3] / ".run" / "bench"

if __name__ == "__main__":
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        sys.exit(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for name in chosen:
        began = time.monotonic()
        PARTS[name]()
        print(f"--- {name}: {time.monotonic() - began:.0f} s", flush=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / "BENCH.md").write_text(write_table(FIGURES))
    chart.save(FIGURES, f"OPTERP KKT, {describe_machine()}", KEPT / "bench.svg")
    sys.exit(f"{len(short)} figures fall short" if (short := get_short(FIGURES)) else 0)
