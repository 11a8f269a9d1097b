# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A cashier at her till, in Debian's Chromium against a live server. Screenshots are among the logs."""

import re
import shutil
from contextlib import contextmanager, suppress

from harness.processes import LOGS, wait_until
from harness.shop import Shop
from harness.stack import Odoo
from playwright.sync_api import Error, Page, expect, sync_playwright

PATIENCE = 600_000  # ms: a first visitor waits until the server has built the till's JavaScript
SOON = 600_000  # ms: ends what hangs
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TILLS = "/odoo/action-point_of_sale.action_pos_config_kanban"
PRODUCT = "Оправа «Нева»"
JUST_CALLED = "UPDATE ir_cron SET lastcall = now() AT TIME ZONE 'UTC'"  # else a copied shop looks as if nothing delivers
DRAFTS = "SELECT count(*) FROM pos_order WHERE state = 'draft'"
OURS_TO_KEEP = re.compile(r"get isAwaitingKkt\(\)\s*\{\s*return ")  # all that looks after a sale that is only here asks this

executable = next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def browser_page(errors: list[str]):
    """A page of a fresh Chromium; what goes wrong in its JavaScript is added to `errors`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1080})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            yield page
        finally:
            with suppress(Error):  # Ctrl-C ends the browser first, and is what is to be told, not that
                picture(page, "last")
                browser.close()


def picture(page: Page, name: str):
    page.screenshot(path=LOGS / f"till-{name}.png")


def log_in(page: Page, host: Odoo):
    page.goto(f"{host.url}/web/login?redirect={TILLS}")
    page.fill("input[name=login]", "kassir")
    page.fill("input[name=password]", "kassir")
    page.click(".oe_login_form button[type=submit]")
    expect(page.locator("button[name=open_ui]").first).to_be_visible()
    picture(page, "1-dashboard")


def open_register(page: Page):
    page.locator("button[name=open_ui]").first.click()
    page.click(".modal-footer .btn-primary")
    expect(page.locator("article.product").first).to_be_visible()


def pay_for_cash(page: Page):
    page.click(f"article.product:has-text('{PRODUCT}')")
    picture(page, "2-product")
    page.click(".product-screen .pay-order-button")
    page.locator(".payment-screen .paymentmethod").first.click()
    picture(page, "3-payment")
    page.click(".payment-screen .validation-button")


def sell_for_cash(page: Page):
    pay_for_cash(page)
    expect(page.locator(".pos-receipt img.o_kkt_qr")).to_be_visible()
    picture(page, "4-receipt")
    page.locator(".pos-receipt").screenshot(path=LOGS / "till-5-receipt.png")


def next_order(page: Page):
    page.click(".receipt-screen .button.next")


def open_orders(page: Page):
    page.click(".pos-topheader .orders-button")
    expect(page.locator(".ticket-screen")).to_be_visible()


def as_core_has_it(page: Page):
    """From the next load on nothing of the addon looks after what only this browser has."""

    def serve(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=OURS_TO_KEEP.sub(r"\g<0>false && ", answer.text()))

    page.route(re.compile("assets_prod.*[.]js"), serve)


def pay_offline(page: Page):
    """A sale that does not arrive. Core tells of the first one by a dialog, before or after the receipt is there."""
    pay_for_cash(page)
    told, paid = page.locator(".modal-footer .btn-primary"), page.locator(".receipt-screen")
    expect(told.or_(paid).first).to_be_visible()
    page.wait_for_timeout(1_000)
    while told.count():
        told.last.click()
        page.wait_for_timeout(500)
    expect(paid).to_be_visible()


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


def park_a_draft(page: Page, shop: Shop):
    page.click(f"article.product:has-text('{PRODUCT}')")
    page.evaluate("posmodel.addPendingOrder([posmodel.getOrder().id]); posmodel.syncAllOrders()")
    wait_until(lambda: shop.database.value(DRAFTS), 60, "the draft", 0.2)
    page.wait_for_function("posmodel.getOrder().isSynced")
