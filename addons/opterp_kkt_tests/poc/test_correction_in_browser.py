# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A fiscal administrator puts a wrong receipt right, in Chromium against a live server: the OFD gets what takes it back, then
what is right. Screenshots of each step are among the logs.
"""

import re

import pytest
from harness.processes import LOGS
from harness.till import Client
from playwright.sync_api import Page, expect
from poc.test_till_in_browser import browser_page, executable

ORDER_NUMBER = "12-34/5"
NOTE = "Неверная ставка НДС"
CORRECTIONS = "SELECT id, idempotency_key, fd_number FROM kkt_receipt WHERE document_type = 'correction' ORDER BY fd_number"


def picture(page: Page, name: str):
    page.screenshot(path=LOGS / f"correction-{name}.png")


def press(page: Page, name: str):
    page.click(f"button[name={name}]:visible")


def log_in(page: Page, host, receipt_id: int):
    page.goto(f"{host.url}/web/login?redirect=/odoo/fiscal-receipts/{receipt_id}")
    page.fill("input[name=login]", "admin")
    page.fill("input[name=password]", "admin")
    page.click(".oe_login_form button[type=submit]")
    expect(page.locator("button[name=action_correct]")).to_be_visible()
    picture(page, "1-receipt")


def say_why(page: Page):
    """An order of the tax office has a number: without it, the dialog says so and stays."""
    press(page, "action_correct")
    expect(page.locator(".modal [name=settlement_day]")).to_be_visible()
    picture(page, "2-cause")
    page.locator(".modal [name=reason] input").nth(1).click()
    press(page, "action_next")
    expect(page.locator(".modal [name=order_number].o_field_invalid")).to_be_visible()
    page.fill(".modal [name=order_number] input", ORDER_NUMBER)
    page.fill(".modal [name=note] textarea", NOTE)
    picture(page, "3-order")
    press(page, "action_next")


def change_the_rate(page: Page, rate: str):
    expect(page.locator(".modal [name=line_ids] tr.o_data_row").first).to_be_visible()
    picture(page, "4-content")
    choose_rate(page, rate)
    picture(page, "5-changed")
    press(page, "action_next")


def choose_rate(page: Page, rate: str):
    row = page.locator(".modal [name=line_ids] tr.o_data_row").first
    row.locator("td[name=name]").click()  # a click on the menu of a row that is edited already would close it
    row.locator("td[name=vat_rate] input").first.click()
    page.locator(".o_select_menu_item", has_text=re.compile(rf"^{rate}$")).click()


def begin_a_sale_without_register(page: Page):
    """A day before the drive's first document is pointed out."""
    press(page, "action_correct")
    page.fill(".modal [name=settlement_day] input", "30.12.2025")
    page.keyboard.press("Enter")
    expect(page.locator(".modal .alert-warning:visible")).to_have_count(1)
    picture(page, "10-without-register")


def sign(page: Page):
    slips = page.locator(".modal .o_kkt_slip")
    expect(slips).to_have_count(2)
    for slip in slips.all():
        expect(slip).to_contain_text("КАССОВЫЙ ЧЕК КОРРЕКЦИИ")
        expect(slip).to_contain_text("ПРОЕКТ, НЕ ПОДПИСАН")
    expect(slips.first).to_contain_text("ВОЗВРАТ ПРИХОДА")
    picture(page, "6-papers")
    press(page, "action_sign")
    expect(page.locator(".o_list_view tr.o_data_row")).to_have_count(2)
    picture(page, "7-corrections")


@pytest.mark.at_length
@pytest.mark.skipif(not executable, reason="no Chromium or Chrome here")
def test_what_the_administrator_signs_is_what_the_ofd_got(shop, report):
    errors: list[str] = []
    with report.scenario("A wrong receipt put right in the browser") as scenario, browser_page(errors) as page:
        host = shop.host()
        admin = Client(host)
        admin.call("res.users", "write", [admin.uid], {"lang": "ru_RU"})
        shop.till(host).sell()
        shop.settle()
        receipt = admin.first("kkt.receipt", [("document_type", "=", "receipt")], ["fd_number", "register_id"], order="id DESC")
        log_in(page, host, receipt["id"])
        say_why(page)
        change_the_rate(page, "10 %")
        sign(page)
        scenario.step(f"FD {receipt['fd_number']} is taken back and put right")
        shop.settle()
        accepted = [row["key"] for row in shop.ofd.accepted()][-2:]
        signed = shop.database.query(CORRECTIONS)
        assert [row["fd_number"] - receipt["fd_number"] for row in signed] == [1, 2]
        assert accepted == [row["idempotency_key"] for row in signed], "the reverse comes first"
        page.goto(f"{host.url}/odoo/fiscal-receipts/{receipt['id']}")
        expect(page.locator("[name=correcting_receipt_ids] tr.o_data_row")).to_have_count(2)
        expect(page.locator("button[name=action_correct]")).to_have_count(0)
        picture(page, "8-chain")
        page.goto(f"{host.url}/odoo/fiscal-receipts/{signed[1]['id']}")
        expect(page.locator("[name=correction_note]")).to_contain_text(NOTE)
        picture(page, "9-right")
        page.goto(f"{host.url}/odoo/cash-registers/{receipt['register_id'][0]}")
        begin_a_sale_without_register(page)
        assert shop.violations() == host.errors() == errors == []
        scenario.figure(f"FD {signed[0]['fd_number']} takes FD {receipt['fd_number']} back, FD {signed[1]['fd_number']} is right")
