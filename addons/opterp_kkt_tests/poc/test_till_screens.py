# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every state of the till at the sizes of its screens, in Russian and in English: nothing of ours runs out of them, and axe-core
finds nothing in it. Pictures are among the logs.

A part of `make proofs` and `make poc`.
"""

import pytest
from harness.browser import browser_page, executable, icon_is, next_order, open_shop, pay_offline, sell_for_cash
from harness.gallery import Gallery
from harness.hands import fiscal_administrator
from harness.shop import Shop
from harness.stack import Odoo
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.skipif(not executable, reason="no Chromium or Chrome here"), pytest.mark.at_length]
LANGUAGE = """
    UPDATE res_partner SET lang = %s WHERE id IN (SELECT partner_id FROM res_users WHERE login IN ('kassir', 'admin'))
"""
MANAGER = """
    INSERT INTO res_groups_users_rel (gid, uid)
    SELECT m.res_id, u.id FROM ir_model_data m, res_users u
     WHERE m.module = 'point_of_sale' AND m.name = 'group_pos_manager' AND u.login = 'kassir' ON CONFLICT DO NOTHING
"""
FAULT = """() => {
    posmodel.getOrder().lines[0].tax_ids.forEach((tax) => (tax.kkt_vat_rate = false));
    posmodel.pay();
}"""


class Tour:
    """From one state of the till to the next, looked at in each."""

    def __init__(self, shop: Shop, page: Page, host: Odoo, gallery: Gallery):
        self.shop, self.page, self.host, self.gallery = shop, page, host, gallery

    def look(self, name: str):
        self.gallery.look(self.page, name)

    def look_behind(self, name: str):
        """The screen with its icon, then the panel behind it."""
        self.look(name)
        self.page.click(".o_kkt_status")
        expect(self.page.locator(".o_kkt_panel")).to_be_visible()
        self.look(f"{name}-panel")
        self.close_dialog()

    def close_dialog(self):
        self.page.locator(".modal-footer .btn-primary").last.click()
        expect(self.page.locator(".modal")).to_have_count(0)

    def go(self):
        self.well()
        self.fails()
        self.rejected()
        self.in_the_browser()
        self.before_payment()
        self.closing()

    def well(self):
        icon_is(self.page, "success")
        self.look_behind("1-green")
        sell_for_cash(self.page)
        self.look("2-receipt")
        next_order(self.page)

    def fails(self):
        self.shop.ofd.mode("fail", status=500)
        sell_for_cash(self.page)
        icon_is(self.page, "warning", 1)
        next_order(self.page)
        self.look_behind("3-amber")
        self.shop.ofd.mode("ok")
        person = fiscal_administrator(self.host)
        person.reset(person.first("kkt.circuit.breaker", [], ["id"])["id"])
        self.shop.settle()

    def rejected(self):
        self.shop.ofd.refuse("Нева")
        sell_for_cash_anyhow(self.page)
        icon_is(self.page, "danger", 1)
        self.look("4-rejected-receipt")
        next_order(self.page)
        self.look_behind("5-red")
        self.shop.ofd.refuse("")

    def in_the_browser(self):
        self.host.kill()
        pay_offline(self.page)
        self.look("6-not-yet")
        next_order(self.page)
        self.look_behind("7-only-here")
        self.page.evaluate("posmodel.navigate('TicketScreen', { stateOverride: { filter: 'SYNCED' } })")
        expect(self.page.locator(".o_kkt_order_badge").first).to_be_visible()
        self.look("8-orders")
        self.page.evaluate("posmodel.addNewOrder(); posmodel.navigate('ProductScreen', { orderUuid: posmodel.getOrder().uuid })")
        self.host.start()
        self.page.wait_for_function("!posmodel.unsyncedKktOrders.length")
        self.shop.settle()

    def before_payment(self):
        self.page.evaluate("posmodel.addNewOrder(); posmodel.navigate('ProductScreen', { orderUuid: posmodel.getOrder().uuid })")
        self.page.locator("article.product").first.click()
        self.page.evaluate(FAULT)
        expect(self.page.locator(".modal")).to_be_visible()
        self.look("9-line-at-fault")
        self.page.locator(".modal-header button[aria-label], .modal-header .btn-close").first.click()

    def closing(self):
        self.page.evaluate("posmodel.closeSession()")
        expect(self.page.locator(".o_kkt_closing")).to_be_visible()
        self.look("10-closing")
        self.page.click(".o_kkt_x_report")
        expect(self.page.locator(".o_kkt_shift_report")).to_be_visible()
        self.look("11-x-report")


def sell_for_cash_anyhow(page: Page):
    """Whatever stands on its receipt."""
    page.click("article.product:has-text('Оправа «Нева»')")
    page.click(".product-screen .pay-order-button")
    page.locator(".payment-screen .paymentmethod").first.click()
    page.click(".payment-screen .validation-button")
    expect(page.locator(".receipt-screen")).to_be_visible()


@pytest.mark.parametrize("language", ["ru_RU", "en_US"])
def test_every_state_at_every_size(shop, report, language):
    gallery, errors = Gallery(language[:2]), []
    with report.scenario(f"Every state of the till, {language}") as scenario, browser_page(errors) as page:
        shop.database.execute(LANGUAGE, language)
        shop.database.execute(MANAGER)
        host = open_shop(shop, page)
        Tour(shop, page, host, gallery).go()
        scenario.figure(f"{gallery.pictures} pictures")
        assert gallery.found == [], "\n".join(gallery.found)
