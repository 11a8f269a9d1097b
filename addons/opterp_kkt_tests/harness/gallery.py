# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Looks at a page as people do: pictures at the sizes of their screens, what runs out of them, and what axe-core finds.

axe-core (https://github.com/dequelabs/axe-core) comes with what checks the JavaScript (`package.json`); without
npm it is left out.
"""

from dataclasses import dataclass, field

from harness.browser import picture
from harness.processes import RUN
from playwright.sync_api import Page

AXE = RUN / "node" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = ((1920, 1080), (1366, 768), (1024, 768), (390, 844))
OURS = (
    ".o_kkt_status",
    ".o_kkt_panel",
    ".o_kkt_order_badge",
    ".o_kkt_order_status",
    ".o_kkt_notice",
    ".o_kkt_paper",
    ".o_kkt_closing",
    ".o_kkt_shift_report",
    ".o_kkt_x_report",
)
# A page has a banner, a main part and a footer for each of Odoo's dialogs: not ours to change.
DIALOGS = ("region", "landmark-unique", *(f"landmark-no-duplicate-{part}" for part in ("banner", "main", "contentinfo")))
FIND = """async ([selectors, disabled]) => {
    const include = selectors.filter((each) => document.querySelector(each)).map((each) => [each]);
    if (!include.length) return [];
    const { violations } = await axe.run({ include }, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        rules: Object.fromEntries(disabled.map((rule) => [rule, { enabled: false }])),
    });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}"""
RUN_OUT = """(selectors) => [...document.querySelectorAll(selectors.join(","))]
    .filter((element) => element.offsetParent && !element.closest(".overflow-y-auto, .overflow-auto, .pos-receipt-container"))
    .filter((element) => {
        const { left, right } = element.getBoundingClientRect();
        return left < -1 || right > window.innerWidth + 1;
    })
    .map((element) => element.className)"""


@dataclass
class Gallery:
    """What was seen: `found` are lines, each with the picture where it was."""

    language: str
    found: list[str] = field(default_factory=list)
    pictures: int = 0

    def look(self, page: Page, name: str):
        before = page.viewport_size
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(300)
            where = f"{name}-{width}-{self.language}"
            picture(page, f"state-{where}")
            self.pictures += 1
            self.found += [f"{where}: runs out of the screen: {each}" for each in page.evaluate(RUN_OUT, list(OURS))]
            self.found += [f"{where}: {each}" for each in self._ask_axe(page)]
        page.set_viewport_size(before)
        page.wait_for_timeout(300)

    def _ask_axe(self, page: Page) -> list[str]:
        if not AXE.exists():
            return []
        if not page.evaluate("Boolean(window.axe)"):
            page.add_script_tag(path=AXE)
        return page.evaluate(FIND, [list(OURS), list(DIALOGS)])
