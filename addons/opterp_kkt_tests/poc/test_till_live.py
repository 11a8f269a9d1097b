# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the till shows is true without a click, and nothing is lost by its browser: Chromium against live servers that deliver.

A part of `make proofs` and `make poc`.
"""

import pytest
from harness.browser import (
    SOON,
    browser_page,
    executable,
    icon_is,
    next_order,
    open_orders,
    open_shop,
    park_a_draft,
    pay_for_cash,
    pay_offline,
    picture,
    sell_for_cash,
)
from harness.hands import fiscal_administrator
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.skipif(not executable, reason="no Chromium or Chrome here"), pytest.mark.at_length]
NO_QUESTIONS = "posmodel.kktHealth.isDue = () => false"  # only what the bus tells is heard
SESSION = "SELECT state FROM pos_session ORDER BY id DESC LIMIT 1"
NOTHING_GETS_THROUGH = """() => {
    const { ConnectionLostError } = odoo.loader.modules.get("@web/core/network/rpc");
    const { call } = posmodel.data;
    posmodel.data.call = async function (model, method) {
        if (method === "sync_from_ui") {
            throw new ConnectionLostError();
        }
        return await call.apply(this, arguments);
    };
}"""
NO_BUS = "posmodel.data.bus.stop()"


def look_behind(page: Page, name: str, *lines: str):
    """Open the panel: these lines are there, all of them at one glance."""
    page.click(".o_kkt_status")
    panel = page.locator(".o_kkt_panel")
    for line in lines:
        expect(panel.locator(f".o_kkt_{line}")).to_be_visible(timeout=SOON)
    page.set_viewport_size({"width": 1024, "height": 768})
    picture(page, name)
    assert panel.evaluate("panel => panel.scrollHeight <= panel.clientHeight && panel.getBoundingClientRect().bottom <= 768")
    page.set_viewport_size({"width": 1280, "height": 1080})
    panel.locator(".modal-footer .btn-primary").click()


def show_filter(page: Page, text: str):
    page.click(".ticket-screen .filter")
    page.click(f".ticket-screen .filter .option:has-text('{text}'), .o-dropdown--menu :text-is('{text}')")


def test_the_till_follows_delivery(shop, report):
    """Amber, green, red and green again, by messages alone."""
    errors: list[str] = []
    with report.scenario("The till follows without a click") as scenario, browser_page(errors) as page:
        host = open_shop(shop, page)
        page.evaluate(NO_QUESTIONS)
        icon_is(page, "success")
        shop.ofd.mode("fail", status=500)
        sell_for_cash(page)
        icon_is(page, "warning", 1)
        look_behind(page, "live-amber", "waiting", "obstacle", "next_try", "words")
        scenario.step("the OFD fails: amber, with its words and the next try")
        admin = fiscal_administrator(host)
        shop.ofd.mode("ok")
        breaker = admin.first("kkt.circuit.breaker", [], ["id"])["id"]
        admin.reset(breaker)
        shop.settle()  # the icon is green as soon as nothing stands in the way: what waited is at the OFD a moment later
        icon_is(page, "success")
        look_behind(page, "live-green", "delivered")
        scenario.step("the OFD is back: green")
        shop.ofd.refuse("Нева")
        next_order(page)
        sell_for_cash(page)
        expect(page.locator(".pos-receipt:has-text('ОФД НЕ ПРИНЯЛ')")).to_be_visible(timeout=SOON)
        icon_is(page, "danger", 1)
        look_behind(page, "live-red", "rejected", "words")
        next_order(page)
        open_orders(page)
        shop.ofd.refuse("")
        admin.retry(*[row["id"] for row in shop.database.query("SELECT id FROM kkt_receipt WHERE state = 'rejected'")])
        icon_is(page, "success")
        assert host.errors() == errors == []


def test_the_till_asks_when_the_bus_is_down(shop, report):
    errors: list[str] = []
    with report.scenario("The till without the bus") as scenario, browser_page(errors) as page:
        host = open_shop(shop, page)
        page.evaluate(NO_BUS)
        shop.ofd.mode("fail", status=500)
        sell_for_cash(page)
        icon_is(page, "warning", 1)
        page.reload()
        icon_is(page, "warning", 1)
        scenario.step("asked by itself, and right after a reload")
        shop.ofd.mode("ok")
        fiscal_administrator(host).reset(fiscal_administrator(host).first("kkt.circuit.breaker", [], ["id"])["id"])
        icon_is(page, "success")
        assert errors == []


def test_what_only_the_browser_has_is_kept_and_sent(shop, report):
    """The server dies: no event tells the till that it is back."""
    errors: list[str] = []
    with report.scenario("Sales that only the browser has") as scenario, browser_page(errors) as page:
        host = open_shop(shop, page)
        park_a_draft(page, shop)
        page.evaluate("posmodel.addPendingOrder([posmodel.getOrder().id]); posmodel.syncAllOrders({ force: true })")
        page.wait_for_function("!posmodel.data.network.loading")  # core does not forget that it was on its way
        page.evaluate("posmodel.addNewOrder()")
        host.kill()
        pay_for_cash(page)
        page.click(".modal-footer .btn-primary")
        expect(page.locator(".pos-receipt .o_kkt_notice")).to_be_visible(timeout=SOON)
        icon_is(page, "warning", 1)
        look_behind(page, "live-browser", "unsynced", "storage")
        assert page.evaluate("posmodel.reloadData()") is None
        expect(page.locator(".modal-body")).to_contain_text("1", timeout=SOON)
        picture(page, "live-no-reload")
        page.click(".modal-footer .btn-primary")
        host.start()
        expect(page.locator(".pos-receipt img.o_kkt_qr")).to_be_visible(timeout=SOON)
        scenario.step("sent by itself; the receipt on the screen has completed itself")
        icon_is(page, "success")
        shop.settle()
        assert [document["document_type"] for document in shop.ofd.accepted()] == ["shift_open", "receipt"]
        assert shop.violations() == []


def test_closing_leaves_no_sale_behind(shop, report):
    """The server answers, but this sale does not get through: closing says how many there are where, and does not close."""
    errors: list[str] = []
    with report.scenario("Closing with a sale in the browser") as scenario, browser_page(errors) as page:
        open_shop(shop, page)
        page.evaluate(NOTHING_GETS_THROUGH)
        pay_offline(page)
        page.evaluate("posmodel.closeSession()")
        expect(page.locator(".o_kkt_closing")).to_contain_text("1", timeout=SOON)
        page.locator(".modal-footer .btn-primary").first.click()
        told = page.locator(".modal-body").last
        expect(told).to_contain_text(page.evaluate("posmodel.config.name"), timeout=SOON)
        expect(told).to_contain_text("1")
        picture(page, "live-no-closing")
        assert shop.database.value(SESSION) == "opened"
        scenario.step("it is said how many and where; the session is open")
        page.evaluate("delete posmodel.data.call")
        shop.ofd.wait_accepted(2)
        shop.settle()
        assert [document["document_type"] for document in shop.ofd.accepted()] == ["shift_open", "receipt"]
        assert shop.violations() == []
