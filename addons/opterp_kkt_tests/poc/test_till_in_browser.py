# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The cashier's way through a sale, in Chromium against a live server: what she sees on the receipt is what the OFD got.
Screenshots are among the logs.
"""

import re

import pytest
from harness.browser import browser_page, executable, log_in, open_register, picture, sell_for_cash
from harness.shop import Shop
from harness.stack import Odoo
from playwright.sync_api import Page, expect

LAST_RECEIPT = """
    SELECT id, fd_number::text, fiscal_drive_number, fiscal_sign, idempotency_key, total
      FROM kkt_receipt ORDER BY id DESC LIMIT 1
"""


def open_receipt(page: Page, host: Odoo, receipt_id: int):
    page.goto(f"{host.url}/odoo/fiscal-receipts/{receipt_id}")
    expect(page.locator("[name=qr_image_url] img")).to_be_visible()  # an image without a size is not
    picture(page, "6-backend")


def last_receipt(shop: Shop) -> dict:
    [receipt] = shop.database.query(LAST_RECEIPT)
    return receipt


@pytest.mark.skipif(not executable, reason="no Chromium or Chrome here")
def test_what_the_cashier_sees_is_what_the_ofd_got(shop, report):
    errors: list[str] = []
    with report.scenario("A sale in the browser") as scenario, browser_page(errors) as page:
        host = shop.host()
        log_in(page, host)
        scenario.step("the cashier has logged in")
        open_register(page)
        scenario.step("the register is open")
        sell_for_cash(page)
        receipt = last_receipt(shop)
        document = page.locator(".pos-receipt .o_kkt_document")
        expect(document).to_have_count(1)
        for requisite in ("fd_number", "fiscal_drive_number", "fiscal_sign"):
            expect(document).to_contain_text(receipt[requisite])
        expect(document.locator("img.o_kkt_qr")).to_have_attribute("src", re.compile("^data:image/svg"))
        scenario.step(f"sold: FD {receipt['fd_number']} with its QR code is on the receipt")
        shop.ofd.wait_accepted(2)
        shop.settle()
        opening, accepted = shop.ofd.accepted()
        assert (opening["document_type"], opening["fd_number"]) == ("shift_open", 1)
        assert (accepted["key"], accepted["total_sum"]) == (receipt["idempotency_key"], receipt["total"])
        open_receipt(page, host, receipt["id"])
        assert shop.violations() == host.errors() == errors == []
        scenario.figure(f"FD {receipt['fd_number']} over {receipt['total'] / 100:.2f} roubles: on the screen and at the OFD")
