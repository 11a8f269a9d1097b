# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a proof tells the reader: step lines while it runs, and POC_REPORT.md when all have run."""

import json
import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

import psutil
import psycopg2
from harness.processes import ROOT, RUN
from harness.stack import environment_dsn


@dataclass
class Scenario:
    """One proof: what was proved, the figures it measured, the steps it took; `error` is why it failed."""

    name: str
    began: float = field(default_factory=time.monotonic)
    figures: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0

    def step(self, text: str):
        """Print and keep a line with the time since the scenario began."""
        line = f"{time.monotonic() - self.began:7.1f} s  {text}"
        self.steps.append(line)
        print(line, flush=True)

    def figure(self, text: str):
        """A measured fact for the summary, e.g. "200 sales, median 41 ms"."""
        self.figures.append(text)
        self.step(text)

    @property
    def verdict(self) -> str:
        return "FAIL" if self.error else "PASS"


class Report:
    """Collects scenarios and writes them down, with the versions they ran on."""

    def __init__(self):
        self.began = datetime.now().astimezone()
        self.scenarios: list[Scenario] = []

    @contextmanager
    def scenario(self, name: str):
        """Run one proof; whatever it raises makes it FAIL and goes on to pytest."""
        scenario = Scenario(name)
        self.scenarios.append(scenario)
        print(f"\n--- {name}", flush=True)
        try:
            yield scenario
        except BaseException as error:
            scenario.error = f"{type(error).__name__}: {error}".strip()
            raise
        finally:
            scenario.seconds = time.monotonic() - scenario.began

    def table(self) -> str:
        """The summary as a Markdown table."""
        rows = [f"| {s.name} | {'; '.join(s.figures)} | {s.seconds:.1f} s | {s.verdict} |" for s in self.scenarios]
        return "\n".join(["| Scenario | Figures | Time | Result |", "|---|---|---|---|", *rows])

    def decision(self, failures: int) -> str:
        """The go/no-go line. `failures` counts all proofs that failed, also those that no scenario tells of."""
        return f"NO-GO: {failures} failed" if failures else f"GO: {len(self.scenarios)} scenarios, nothing failed"

    def save(self, failures: int):
        """Keep what was found where `KKT_REPORT` says, else among the logs."""
        path = Path(os.environ.get("KKT_REPORT") or RUN / "log" / "proofs.json")
        facts = {"began": time.time() - self.seconds, "failures": failures, "scenarios": [asdict(s) for s in self.scenarios]}
        path.write_text(json.dumps(facts))

    @property
    def seconds(self) -> float:
        return (datetime.now().astimezone() - self.began).total_seconds()

    def load(self, path: Path) -> int:
        """Add what another run has kept; return how many of its proofs failed."""
        facts = json.loads(path.read_text())
        self.began = min(self.began, datetime.fromtimestamp(facts["began"]).astimezone())
        self.scenarios += [Scenario(**scenario) for scenario in facts["scenarios"]]
        return facts["failures"]

    def write(self, failures: int, path=ROOT / "POC_REPORT.md"):
        ended = datetime.now().astimezone()
        lines = [
            "# Proofs over real processes",
            "",
            f"Run from {self.began:%Y-%m-%d %H:%M:%S %z} to {ended:%H:%M:%S} ({(ended - self.began).seconds} s).",
            "",
            *(f"* {name}: {text}" for name, text in versions().items()),
            "",
            self.table(),
            "",
            f"**{self.decision(failures)}**",
            "",
        ]
        for scenario in self.scenarios:
            lines += [
                f"## {scenario.name}: {scenario.verdict}",
                "",
                "```",
                *scenario.steps,
                *scenario.error.splitlines(),
                "```",
                "",
            ]
        path.write_text("\n".join(lines))


def combine(paths: list[str]):
    """Write POC_REPORT.md of runs that went side by side."""
    report = Report()
    report.write(sum(report.load(Path(path).with_suffix(".json")) for path in paths))


def versions() -> dict[str, str]:
    """What the proofs ran on."""
    return {
        "Odoo": _first_line("odoo", "--version"),
        "PostgreSQL": _postgres_version(),
        "Redis": _first_line("redis-server", "--version"),
        "Python": platform.python_version(),
        "System": f"{platform.system()} {platform.release()}",
        "Machine": _machine(),
        "Commit": _first_line("git", "describe", "--always", "--dirty"),
    }


def _machine() -> str:
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((fact.partition(":")[2].strip() for fact in facts if fact.startswith("model name")), platform.machine())
    return f"{processor}, {len(os.sched_getaffinity(0))} cores, {psutil.virtual_memory().total >> 30} GiB"


def _first_line(*command: str) -> str:
    with suppress(OSError, IndexError):
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()[0]
    return "unknown"


def _postgres_version() -> str:
    connection = psycopg2.connect(dbname="postgres", **environment_dsn())
    try:
        return connection.get_parameter_status("server_version")
    finally:
        connection.close()


if __name__ == "__main__":
    combine(sys.argv[1:])
