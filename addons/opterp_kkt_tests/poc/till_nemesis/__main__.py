# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""python addons/opterp_kkt_tests/poc/till_nemesis --seed 7 --minutes 2: exit status 0 without a violation."""

import argparse
import random
import signal
import sys
from pathlib import Path

ADDONS = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ADDONS / "opterp_kkt_tests"), str(ADDONS / "opterp_kkt")]

from harness import nursery  # noqa: E402  (the paths must be set first)
from poc.till_nemesis.run import TillNemesis  # noqa: E402


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the servers end, too
    parser = argparse.ArgumentParser("till", description="Break pages, network and server while cashiers sell in Chromium.")
    parser.add_argument("--seed", type=int, default=random.randrange(1000), help="of the schedule of faults")
    parser.add_argument("--minutes", type=float, default=2)
    given = parser.parse_args()
    print(f"the till's nemesis, seed {given.seed}, {given.minutes:g} min", flush=True)
    with nursery.opened():
        result = TillNemesis(given.seed, 60 * given.minutes, lambda line: print(line, flush=True)).run()
    print(result.table())
    for violation in result.violations:
        print(f"VIOLATION  {violation}")
    sys.exit(bool(result.violations))


if __name__ == "__main__":
    main()
