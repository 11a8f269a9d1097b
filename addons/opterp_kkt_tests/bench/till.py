# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the till asks the server for with the addon and without it, and how soon a change in the database is on its screen.

Both in Chromium. Requests are counted, not timed: those of the page itself, from its address to the last one that it makes
unasked, and from the cashier's "Validate" to the receipt.
"""

import math
import statistics
from collections import Counter

from bench.figures import tell
from bench.shops import config_ids, two_shops
from harness.browser import browser_page, open_shop, sell_for_cash
from harness.processes import wait_until
from harness.shop import Shop
from harness.stack import Odoo
from playwright.sync_api import Page, expect

SALES = 20
QUIET = 3_000  # ms without a request: it is at rest
SLOW = 1.0  # s that the OFD takes, in which the cashier goes to the list of orders
WATCH = """() => {
    window.kktSeen = {};
    new MutationObserver(() => {
        for (const badge of document.querySelectorAll(".order-row .o_kkt_order_badge.text-bg-success")) {
            window.kktSeen[badge.closest(".order-row").getAttribute("orderuuid")] ??= Date.now();
        }
    }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
}"""
ORDERS = "posmodel.navigate('TicketScreen', { stateOverride: { filter: 'SYNCED' } })"
DELIVERED = """
    SELECT o.uuid, extract(epoch FROM r.delivered_at AT TIME ZONE 'UTC')::float8 * 1000 AS time
      FROM kkt_receipt r JOIN pos_order o ON o.id = r.pos_order_id WHERE r.state = 'delivered'
"""
MESSAGES = "SELECT count(*) FROM bus_bus WHERE message LIKE '%%KKT_CHANGED%%'"


def main():
    with two_shops() as hosts:
        counts = [_count(host) for host in hosts]
    for what in counts[0]:
        core, ours = (Counter(count[what]) for count in counts)
        more = ", ".join(f"{count} {name}" for name, count in (ours - core).items())
        tell(
            f"requests of the till, {what}",
            ours.total() - core.total(),
            unit=" more than core",
            detail=f"core {core.total()}, with receipts {ours.total()}{f' ({more} more)' * bool(more)}",
        )
    _measure_screen()


def _count(host: Odoo) -> dict[str, list[str]]:
    with browser_page([]) as page:
        requests: list[str] = []
        page.on("request", lambda request: requests.append(_name(request)))
        page.goto(f"{host.url}/web/login?redirect=/odoo")
        page.fill("input[name=login]", "admin")
        page.fill("input[name=password]", "admin")
        page.click(".oe_login_form button[type=submit]")
        page.wait_for_url("**/odoo**")
        counts = {}
        for what, act in {"opened first": _open, "loaded again": _reload, "a sale": _pay, "another sale": _pay}.items():
            _rest(page, requests)
            if act is _pay:
                _choose(page)
                _rest(page, requests)
            requests.clear()
            act(page, host)
            counts[what] = _rest(page, requests)
        return counts


def _name(request) -> str:
    """What is asked of the server; files are cached."""
    path = request.url.partition("?")[0].partition("/call_kw/")[2]
    return path if request.method == "POST" else ""


def _rest(page: Page, requests: list[str]) -> list[str]:
    """Until the page asks for nothing more by itself; what it has asked for."""
    seen = -1
    while seen != len(requests):
        seen = len(requests)
        page.wait_for_timeout(QUIET)
    return [name for name in requests if name]


def _open(page: Page, host: Odoo):
    """As the button on the point of sale's card does."""
    page.goto(f"{host.url}/pos/ui/{config_ids(host)[0]}?from_backend=True")
    confirm, product = page.locator(".modal-footer .btn-primary"), page.locator("article.product").first
    expect(confirm.or_(product).first).to_be_visible()
    if confirm.count():
        confirm.click()
    expect(product).to_be_visible()


def _reload(page: Page, _host: Odoo):
    page.reload()
    expect(page.locator("article.product").first).to_be_visible()


def _choose(page: Page):
    page.evaluate("posmodel.addNewOrder(); posmodel.navigate('ProductScreen', { orderUuid: posmodel.getOrder().uuid })")
    page.locator("article.product").first.click()
    page.click(".product-screen .pay-order-button")  # the only payment method is taken by itself
    expect(page.locator(".payment-screen .validation-button.highlight")).to_be_visible()


def _pay(page: Page, _host: Odoo):
    page.click(".payment-screen .validation-button")
    expect(page.locator(".receipt-screen")).to_be_visible()


def _measure_screen():
    with Shop() as shop, browser_page([]) as page:
        open_shop(shop, page)
        page.evaluate(WATCH)
        shop.ofd.mode("slow", seconds=SLOW)
        before = shop.database.value(MESSAGES)
        for number in range(SALES):
            page.evaluate("posmodel.addNewOrder(); posmodel.navigate('ProductScreen', { orderUuid: posmodel.getOrder().uuid })")
            sell_for_cash(page)
            page.evaluate(ORDERS)
            wait_until(lambda sold=number + 1: len(page.evaluate("window.kktSeen")) >= sold, 60, "the list", 0.05)
        messages = shop.database.value(MESSAGES) - before
        seen = page.evaluate("window.kktSeen")
        times = {row["uuid"]: row["time"] for row in shop.database.query(DELIVERED)}
    waits = sorted(seen[uuid] - times[uuid] for uuid in seen)
    high = waits[math.ceil(0.95 * len(waits)) - 1]
    tell(
        "delivered to seen on the till's screen",
        statistics.median(waits) / 1000,
        unit=" s",
        most=1.0,
        detail=f"{SALES} deliveries: p95 {high / 1000:.2f} s; {messages / SALES:.2f} messages per sale and open till",
    )
