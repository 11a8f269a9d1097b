"""The figures that have a bound as a chart: how much of it each comes to; and how others fare against the bare loop."""

from html import escape
from pathlib import Path

from bench.figures import AGAINST_BARE, Figure
from harness.browser import browser_page

ROW, HEAD, LABELS, BARS, VALUES = 26, 34, 380, 260, 280  # px
LONGEST = 2.0  # times the bound: a bar that goes on ends there, with an arrow
STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #24292f } .quiet { fill: #57606a; font-size: 12px }
    .line { stroke: #24292f } .good { fill: #4ac26b } .short { fill: #fa4549 } .plain { fill: #8c959f }
    @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3 } .quiet { fill: #8d96a0 } .line { stroke: #e6edf3 }
        .good { fill: #238636 } .short { fill: #da3633 } .plain { fill: #6e7681 }
    }
"""


def save(figures: list[Figure], caption: str, path: Path) -> None:
    """Write the chart as SVG, and as PNG on white beside it for readers that show no SVG."""
    svg = draw(figures, caption)
    path.write_text(svg)
    with browser_page([]) as page:
        page.set_content(f'<body style="margin: 0; background: white">{svg}')
        page.locator("svg").screenshot(path=path.with_suffix(".png"))


def draw(figures: list[Figure], caption: str) -> str:
    """An SVG that is readable on a light and on a dark page."""
    parts, y = [f'<text x="8" y="18" class="quiet">{escape(caption)}</text>'], 24
    for title, bars in {
        "at least: the line is reached": [(f, f.median / f.least) for f in figures if f.least is not None],
        "at most: the line is not passed": [(f, f.median / f.most) for f in figures if f.most is not None],
        "no bound: the line is the bare loop": [(f, f.median) for f in figures if f.margin is None and f.unit == AGAINST_BARE],
    }.items():
        if bars:
            parts += _draw_group(title, bars, y)
            y += HEAD + ROW * len(bars)
    width, height = LABELS + BARS + VALUES, y + 10
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            f"<title>{escape(caption)}</title><style>{STYLE}</style>",
            *parts,
            "</svg>\n",
        ]
    )


def _draw_group(title: str, bars: list[tuple[Figure, float]], y: int) -> list[str]:
    """Each figure's bar is so many times as long as the line is far."""
    line = LABELS + BARS / LONGEST
    return [
        f'<text x="{LABELS}" y="{y + 22}" class="quiet">{title}</text>',
        *(_draw_row(figure, times, y + HEAD + ROW * row) for row, (figure, times) in enumerate(bars)),
        f'<line x1="{line}" x2="{line}" y1="{y + HEAD}" y2="{y + HEAD + ROW * len(bars)}" class="line"/>',
    ]


def _draw_row(figure: Figure, times: float, y: int) -> str:
    length = max(min(times, LONGEST) * BARS / LONGEST, 1)
    kind = "plain" if figure.margin is None else "good" if figure.margin >= 1 else "short"
    bound = f' <tspan class="quiet">({escape(figure.bound)})</tspan>' * bool(figure.bound)
    return (
        f'<text x="{LABELS - 10}" y="{y + 17}" text-anchor="end">{escape(figure.what)}</text>'
        f'<rect x="{LABELS}" y="{y + 5}" width="{length:.1f}" height="16" class="{kind}"/>'
        f'<text x="{LABELS + BARS + 12}" y="{y + 17}">{"› " * (times > LONGEST)}{escape(figure.value)}{bound}</text>'
    )
