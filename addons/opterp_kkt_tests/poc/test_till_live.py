# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the till shows is true without a click, and nothing is lost by its browser: Chromium against live servers that deliver.

A part of `make proofs` and `make poc`.
"""

import pytest
from harness.browser import (
    browser_page,
    executable,
    log_in,
    next_order,
    open_orders,
    open_register,
    pay_for_cash,
    picture,
    sell_for_cash,
)
from harness.hands import fiscal_administrator
from harness.processes import wait_until
from harness.shop import Shop
from harness.stack import Odoo
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.skipif(not executable, reason="no Chromium or Chrome here"), pytest.mark.at_length]
SOON = 600_000  # ms: ends what hangs
NO_QUESTIONS = "posmodel.kktHealth.isDue = () => false"  # only what the bus tells is heard
NO_BUS = "posmodel.data.bus.stop()"
JUST_CALLED = "UPDATE ir_cron SET lastcall = now() AT TIME ZONE 'UTC'"  # else a copied shop looks as if nothing delivers
ORDERS = "SELECT count(*) FROM pos_order WHERE state = 'paid' AND kkt_hlc IS NOT NULL"


def open_shop(shop: Shop, page: Page) -> Odoo:
    """A cashier at her till, with the report on the shift at the OFD: it comes when the till is on the screen already."""
    shop.database.execute(JUST_CALLED)
    host = shop.host()
    log_in(page, host)
    open_register(page)
    shop.ofd.wait_accepted(1)
    shop.settle()
    return host


def icon_is(page: Page, color: str, count: int | None = None):
    expect(page.locator(f".o_kkt_status.text-{color}")).to_be_visible(timeout=SOON)
    counter = page.locator(".o_kkt_status .o_kkt_count")
    expect(counter).to_have_count(0, timeout=SOON) if count is None else expect(counter).to_have_text(str(count), timeout=SOON)


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


def test_a_draft_that_is_paid_offline_keeps_its_payments(shop, report):
    errors: list[str] = []
    with report.scenario("A draft that is paid offline") as scenario, browser_page(errors) as page:
        host = open_shop(shop, page)
        page.click("article.product:has-text('Оправа «Нева»')")
        page.evaluate("posmodel.addPendingOrder([posmodel.getOrder().id]); posmodel.syncAllOrders()")
        wait_until(lambda: shop.database.value("SELECT count(*) FROM pos_order WHERE state = 'draft'"), 60, "the draft", 0.2)
        scenario.step("the draft is at the server")
        page.wait_for_function("posmodel.getOrder().isSynced")
        host.kill()
        page.click(".product-screen .pay-order-button")
        page.locator(".payment-screen .paymentmethod").first.click()
        page.click(".payment-screen .validation-button")
        page.click(".modal-footer .btn-primary")
        expect(page.locator(".pos-receipt .o_kkt_notice")).to_be_visible(timeout=SOON)
        page.wait_for_timeout(2000)  # core writes its database 0.3 s later
        host.start()
        page.reload()
        wait_until(lambda: shop.database.value(ORDERS), 150, "the payment", 0.2)
        shop.settle()
        assert shop.database.value(
            "SELECT count(*) FROM pos_payment WHERE pos_order_id IN (SELECT pos_order_id FROM kkt_receipt)"
        )
        icon_is(page, "success")
        assert shop.violations() == []
