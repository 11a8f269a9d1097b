"""What a measurement found: told at once, and kept for the table and the chart at the end."""

import os
import platform
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

AGAINST_BARE = " × a bare loop"


@dataclass(frozen=True)
class Figure:
    """One thing that was measured in several rounds, its sides interleaved.

    :param values: one for each round
    :param unit: what stands behind a value, as " s" or " × a bare loop"
    :param least: what it must come to, or
    :param most: what it may come to; neither for what is only told
    :param detail: what the values were made of
    """

    what: str
    values: tuple[float, ...]
    unit: str = ""
    least: float | None = None
    most: float | None = None
    detail: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def margin(self) -> float | None:
        """How many times better than its bound it is; below 1 it falls short. None without a bound."""
        if self.least is not None:
            return self.median / self.least
        return None if self.most is None else self.most / self.median

    @property
    def value(self) -> str:
        return f"{self.median:.3g}{self.unit}"

    @property
    def spread(self) -> str:
        return f"{min(self.values):.3g} … {max(self.values):.3g}" if len(self.values) > 1 else ""

    @property
    def bound(self) -> str:
        if self.least is not None:
            return f"≥ {self.least:g}"
        return "" if self.most is None else f"≤ {self.most:g}"


FIGURES: list[Figure] = []


def tell(what: str, *values: float, **facts) -> None:
    """Print a figure and keep it; see `Figure`."""
    figure = Figure(what, values, **facts)
    FIGURES.append(figure)
    spread = f" ({figure.spread})" if figure.spread else ""
    verdict = f", bound {figure.bound}{' FALLS SHORT' * (figure.margin < 1)}" if figure.margin else ""
    print(f"{what}: {figure.value}{spread}{verdict}{figure.detail and f'; {figure.detail}'}", flush=True)


def get_short(figures: list[Figure]) -> list[Figure]:
    """Those that miss their bound."""
    return [figure for figure in figures if figure.margin and figure.margin < 1]


def describe_machine() -> str:
    """Date and machine in one line."""
    model = next((line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {model or platform.machine()}, {os.cpu_count()} cores, {gib:.0f} GiB, "
        f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    )


def write_table(figures: list[Figure]) -> str:
    """The figures as Markdown."""
    rows = [" | ".join(("", *_get_cells(figure), "")).strip() for figure in figures]
    head = "| what | median | rounds | bound | of |\n|---|---|---|---|---|"
    return "\n".join([f"Measured {describe_machine()}, by `make bench`.", "", head, *rows, ""])


def _get_cells(figure: Figure) -> tuple[str, ...]:
    verdict = " **falls short**" if get_short([figure]) else ""
    return figure.what, figure.value, figure.spread, figure.bound + verdict, figure.detail
