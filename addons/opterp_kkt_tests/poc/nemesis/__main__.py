# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""python addons/opterp_kkt_tests/poc/nemesis --seed 7 --minutes 2 [--only KIND …]: exit status 0 without a violation."""

import argparse
import random
import signal
import sys
from pathlib import Path

ADDONS = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ADDONS / "opterp_kkt_tests"), str(ADDONS / "opterp_kkt")]

import harness.product  # noqa: E402, F401  (the paths must be set first)
from opterp_kkt.transports import PROTOCOLS  # noqa: E402
from poc.nemesis.faults import KINDS, LEFT_OUT, kinds_of  # noqa: E402
from poc.nemesis.run import Nemesis, Settings  # noqa: E402


def parse(arguments: list[str]) -> Settings:
    parser = argparse.ArgumentParser("nemesis", description="Break the shop while the tills sell; judge by the OFD's history.")
    parser.add_argument("--seed", type=int, default=random.randrange(1000), help="of the schedule of faults")
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--registers", type=int, default=4)
    parser.add_argument("--rate", type=float, default=4, help="orders per second, all tills together")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="KIND",
        choices=list(KINDS),
        help=f"faults to strike with, of: {', '.join(KINDS)}; else all that make sense",
    )
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="http", help="that the registers' receivers speak")
    given = parser.parse_args(arguments)
    kinds = tuple(given.only or kinds_of(given.protocol))
    return Settings(given.seed, 60 * given.minutes, given.servers, given.registers, given.rate, kinds, given.protocol)


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the servers end, too
    settings = parse(sys.argv[1:])
    print(f"nemesis over {settings.protocol}, seed {settings.seed}, {settings.seconds:g} s; left out:", flush=True)
    for kind, reason in LEFT_OUT[settings.protocol].items():
        print(f"  {kind:34} {reason}", flush=True)
    result = Nemesis(settings, lambda line: print(line, flush=True)).run()
    print(f"{result.table()}\n  {'everything that was judged':34} {result.keep()}")
    if result.violations:
        print(f"\n{result.story()}\n\nonce more: {command(settings)}")
    sys.exit(bool(result.violations))


def command(settings: Settings) -> str:
    """The make command that plays this schedule again."""
    options = {
        "SEED": settings.seed,
        "MINUTES": f"{settings.seconds / 60:g}",
        "REGISTERS": settings.tills,
        "RATE": f"{settings.rate:g}",
    }
    if settings.protocol != "http":
        options["PROTOCOL"] = settings.protocol
    if settings.kinds != kinds_of(settings.protocol):
        options["KINDS"] = f'"{" ".join(settings.kinds)}"'
    return "make nemesis " + " ".join(f"{name}={value}" for name, value in options.items())


if __name__ == "__main__":
    main()
