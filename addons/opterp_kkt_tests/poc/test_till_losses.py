# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What core's till loses, ours keeps: Chromium against live servers, with what looks after a sale that only the browser has, and
without it (`core`).

A part of `make proofs` and `make poc`.
"""

from contextlib import suppress

import pytest
from harness.browser import (
    SOON,
    as_core_has_it,
    browser_page,
    executable,
    icon_is,
    next_order,
    open_shop,
    park_a_draft,
    pay_offline,
    picture,
)
from harness.judge import is_acceptance
from harness.processes import wait_until
from harness.shop import Shop
from harness.stack import Odoo
from playwright.sync_api import Error, Page, expect

pytestmark = [pytest.mark.skipif(not executable, reason="no Chromium or Chrome here"), pytest.mark.at_length]
both = pytest.mark.parametrize("core", [False, True], ids=["ours", "core"])
WITHOUT_COOKIES = "indexeddb,local_storage,service_workers,cache_storage"
TICK = 7_000  # ms in which the till looks at what it has
WRITTEN = 2_000  # ms in which core has written its database
SALES = """
    SELECT r.fd_number, o.uuid, o.kkt_hlc ->> 'local_time' AS stamp, r.total
      FROM kkt_receipt r JOIN pos_order o ON o.id = r.pos_order_id ORDER BY r.fd_number
"""
PAYMENTS_HERE = "() => posmodel.models['pos.order'].filter((order) => order.payment_ids.length).length"
DAMAGE = """async ([store, keep]) => {
    const names = (await indexedDB.databases()).map(({ name }) => name);
    const name = names.find((each) => each.startsWith("point-of-sale-"));
    const done = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const database = await done(indexedDB.open(name));
    const rows = database.transaction(store, "readwrite").objectStore(store);
    for (const key of (await done(rows.getAllKeys())).filter((each) => !keep.includes(each))) {
        await done(rows.delete(key));
    }
    database.close();
}"""
KEYS = """() => Object.fromEntries(posmodel.unsyncedKktOrders.map((order, at) => [at, {
    "pos.order": [order.uuid],
    "pos.order.line": order.lines.map((line) => line.uuid),
    "pos.payment": order.payment_ids.map((payment) => payment.uuid),
}]))"""
FORGET_CLOCK = """() => {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith("kkt-hlc-"));
    keys.forEach((key) => localStorage.removeItem(key));
    return keys.length;
}"""
FULL_RESET = """() => {
    const { CriticalPOSError } = odoo.loader.modules.get(
        "@point_of_sale/app/components/loader/critical_pos_error/critical_pos_error"
    );
    CriticalPOSError.prototype.fullReset.call({});
}"""


def open_till(shop: Shop, page: Page, core: bool) -> Odoo:
    if core:
        as_core_has_it(page)
    return open_shop(shop, page)


def leave(page: Page) -> str:
    """The page ends; return where it was."""
    page.wait_for_timeout(WRITTEN)
    url = page.url.partition("/product")[0].partition("/receipt")[0]
    page.goto("about:blank")
    return url


def come_back(page: Page, host: Odoo, url: str):
    host.start()
    page.goto(url)
    page.wait_for_function("window.posmodel && posmodel.session", timeout=SOON)


def is_sold(shop: Shop, count: int = 1):
    """So many sales are at the OFD, over what was paid, in the order of their stamps."""
    wait_until(lambda: len(shop.database.query(SALES)) >= count, 150, "the sales", 0.2)
    shop.settle()
    sales = shop.database.query(SALES)
    assert len(sales) == count
    assert [sale["stamp"] for sale in sales] == sorted(sale["stamp"] for sale in sales)
    sums = [request["total_sum"] for request in shop.ofd.history() if is_acceptance(request) and request.get("total_sum")]
    assert sorted(sums) == sorted(sale["total"] for sale in sales)
    assert shop.violations() == []


def is_lost(shop: Shop, page: Page):
    """Neither the page nor the server knows that something was paid."""
    page.wait_for_timeout(TICK)
    assert page.evaluate(PAYMENTS_HERE) == 0
    assert shop.database.query(SALES) == []


def is_kept(shop: Shop, page: Page, core: bool):
    """The sale is sent; as core has it, it is lost."""
    if core:
        is_lost(shop, page)
    else:
        is_sold(shop)


@both
def test_a_draft_that_was_at_the_server_is_paid_offline(shop, report, core):
    errors: list[str] = []
    with report.scenario(f"A draft that is paid offline{', as core has it' * core}"), browser_page(errors) as page:
        host = open_till(shop, page, core)
        park_a_draft(page, shop)
        host.kill()
        page.click(".product-screen .pay-order-button")
        page.locator(".payment-screen .paymentmethod").first.click()
        page.click(".payment-screen .validation-button")
        page.click(".modal-footer .btn-primary")
        expect(page.locator(".receipt-screen")).to_be_visible(timeout=SOON)
        url = leave(page)
        come_back(page, host, url)
        is_kept(shop, page, core)
        if not core:
            icon_is(page, "success")


@both
def test_a_browser_that_empties_its_storage(shop, report, core):
    """As when its disk is full. The page is open; it ends before the server is back."""
    errors: list[str] = []
    with report.scenario(f"A browser without its storage{', as core has it' * core}"), browser_page(errors) as page:
        host = open_till(shop, page, core)
        host.kill()
        pay_offline(page)
        page.wait_for_timeout(WRITTEN)
        session = page.context.new_cdp_session(page)
        session.send("Storage.clearDataForOrigin", {"origin": host.url, "storageTypes": WITHOUT_COOKIES})
        page.wait_for_timeout(TICK)
        url = leave(page)
        come_back(page, host, url)
        is_kept(shop, page, core)


@both
def test_data_that_is_reset_after_a_failure(shop, report, core):
    """Core's page for what went wrong offers to reload its data, and deletes every database for it."""
    errors: list[str] = []
    with report.scenario(f"Data reset after a failure{', as core has it' * core}"), browser_page(errors) as page:
        host = open_till(shop, page, core)
        host.kill()
        pay_offline(page)
        page.wait_for_timeout(WRITTEN)
        url = page.url.partition("/product")[0].partition("/receipt")[0]
        with suppress(Error):  # the page is loaded anew, in vain
            page.evaluate(FULL_RESET)
        page.wait_for_timeout(WRITTEN)
        come_back(page, host, url)
        is_kept(shop, page, core)


def test_a_half_written_database(shop, report):
    """The page starts, says what it found, and the sales arrive whole and in their order."""
    errors: list[str] = []
    with report.scenario("A half-written browser database") as scenario, browser_page(errors) as page:
        host = open_shop(shop, page)
        host.kill()
        for _number in range(4):
            pay_offline(page)
            next_order(page)
        keys = page.evaluate(KEYS)
        url = leave(page)
        host.start()
        page.goto(f"{host.url}/web/login")
        for at, store in enumerate(("pos.order", "pos.order.line", "pos.payment")):
            kept = [key for number, models in keys.items() if number != str(at) for key in models[store]]
            page.evaluate(DAMAGE, [store, kept])
        scenario.step("of one sale the order is gone, of another its lines, of a third its payments")
        page.goto(url)
        expect(page.locator(".o_notification")).to_contain_text("3", timeout=SOON)
        picture(page, "losses-found")
        is_sold(shop, 4)
        icon_is(page, "success")
        assert errors == []


def test_a_clock_that_was_not_stored(shop, report):
    """The browser is killed before it has stored its clock, which was ahead: the next sale is later all the same."""
    errors: list[str] = []
    with report.scenario("A till's clock that was not stored"), browser_page(errors) as page:
        host = open_shop(shop, page)
        host.kill()
        page.evaluate("Date.now = ((now) => () => now() + 40_000)(Date.now)")
        pay_offline(page)
        first = page.evaluate("posmodel.unsyncedKktOrders[0].uuid")
        assert page.evaluate(FORGET_CLOCK) == 1
        url = leave(page)
        page.route("**/sync_from_ui*", lambda route: route.abort())
        come_back(page, host, url)
        page.click(".open-register-btn")
        pay_offline(page)
        assert page.evaluate("posmodel.unsyncedKktOrders.length") == 2
        page.unroute("**/sync_from_ui*")
        is_sold(shop, 2)
        assert shop.database.query(SALES)[0]["uuid"] == first


def test_a_page_that_is_loaded_without_a_server(shop, report):
    """The page comes out of the browser's own storage, with what was sold, and sells on."""
    errors: list[str] = []
    with report.scenario("A page that is loaded without a server"), browser_page(errors) as page:
        host = open_shop(shop, page)
        host.kill()
        pay_offline(page)
        page.goto(leave(page))
        page.click(".open-register-btn")
        icon_is(page, "warning", 1)
        picture(page, "losses-offline")
        pay_offline(page)
        host.start()
        is_sold(shop, 2)
        icon_is(page, "success")
