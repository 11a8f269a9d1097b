# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A cashier at her till, in Debian's Chromium against a live server. Screenshots are among the logs."""

import shutil
from contextlib import contextmanager, suppress

from harness.processes import LOGS
from harness.stack import Odoo
from playwright.sync_api import Error, Page, expect, sync_playwright

PATIENCE = 600_000  # ms: a first visitor waits until the server has built the till's JavaScript
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TILLS = "/odoo/action-point_of_sale.action_pos_config_kanban"
PRODUCT = "Оправа «Нева»"

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
