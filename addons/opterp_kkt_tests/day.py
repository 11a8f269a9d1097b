# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A day at the till in pictures, `make day`: in a copy of the demo shop the cashier opens, sells, loses the OFD and the server,
takes something back and closes, once in Russian and once in English. The pictures are those of `docs/till.md` and `till.ru.md`.
"""

import sys

from harness.browser import browser_page, icon_is, next_order, open_shop, pay_offline, sell_for_cash
from harness.hands import fiscal_administrator
from harness.processes import ROOT
from harness.shop import Shop
from playwright.sync_api import Page, expect

PICTURES = ROOT / "docs" / "till"
SIZE = {"width": 1024, "height": 768}
LANGUAGE = "UPDATE res_partner SET lang = %s WHERE id IN (SELECT partner_id FROM res_users WHERE login = 'kassir')"
LANGUAGES = {"ru": "ru_RU", "en": "en_US"}
MANAGER = """
    INSERT INTO res_groups_users_rel (gid, uid)
    SELECT m.res_id, u.id FROM ir_model_data m, res_users u
     WHERE m.module = 'point_of_sale' AND m.name = 'group_pos_manager' AND u.login = 'kassir' ON CONFLICT DO NOTHING
"""
COUNTED = "17800"  # roubles: two sales of the three
ORDERS = "posmodel.navigate('TicketScreen', { stateOverride: { filter: 'SYNCED' } })"
FAULT = """() => {
    posmodel.getOrder().lines[0].tax_ids.forEach((tax) => (tax.kkt_vat_rate = false));
    posmodel.pay();
}"""


class Day:
    """Each method is a part of the day and takes its pictures."""

    def __init__(self, shop: Shop, page: Page, language: str):
        self.shop, self.page, self.language = shop, page, language

    def keep(self, name: str):
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=PICTURES / f"{name}.{self.language}.png")
        print(f"docs/till/{name}.{self.language}.png", flush=True)

    def keep_panel(self, name: str):
        self.page.click(".o_kkt_status")
        expect(self.page.locator(".o_kkt_panel")).to_be_visible()
        self.keep(name)
        self.page.locator(".modal-footer .btn-primary").click()
        expect(self.page.locator(".modal")).to_have_count(0)

    def go(self):
        self.host = open_shop(self.shop, self.page)
        self.page.set_viewport_size(SIZE)
        self.morning()
        self.without_the_ofd()
        self.without_the_server()
        self.refund()
        self.evening()

    def morning(self):
        icon_is(self.page, "success")
        self.keep_panel("01-morning")
        sell_for_cash(self.page)
        self.keep("02-receipt")
        next_order(self.page)

    def without_the_ofd(self):
        self.shop.ofd.mode("fail", status=500)
        sell_for_cash(self.page)
        icon_is(self.page, "warning", 1)
        next_order(self.page)
        self.keep_panel("03-ofd-does-not-answer")
        self.shop.ofd.mode("ok")
        person = fiscal_administrator(self.host)
        person.reset(person.first("kkt.circuit.breaker", [], ["id"])["id"])
        self.shop.settle()
        self.page.wait_for_function("!posmodel.kktHealth.waiting")

    def without_the_server(self):
        self.host.kill()
        pay_offline(self.page)
        self.keep("04-not-yet")
        self.keep_panel("05-only-here")
        self.host.start()
        expect(self.page.locator(".pos-receipt img.o_kkt_qr")).to_be_visible()
        self.keep("06-completed")
        next_order(self.page)
        self.shop.settle()

    def refund(self):
        self.page.evaluate(ORDERS)
        expect(self.page.locator(".o_kkt_order_badge")).to_have_count(3)
        self.page.locator(".ticket-screen .order-row").first.click()
        self.keep("07-orders")
        self.page.locator(".ticket-screen .pay-order-button").click()
        self.page.locator(".payment-screen .paymentmethod").first.click()
        self.page.click(".payment-screen .validation-button")
        expect(self.page.locator(".pos-receipt img.o_kkt_qr")).to_be_visible()
        self.keep("08-refund")
        next_order(self.page)
        self.page.locator("article.product").first.click()
        self.page.evaluate(FAULT)
        expect(self.page.locator(".modal")).to_be_visible()
        self.keep("09-line-at-fault")
        self.page.locator(".modal-header .btn-close").click()
        self.page.evaluate("() => { posmodel.removeOrder(posmodel.getOrder()); }")

    def evening(self):
        self.shop.settle()
        self.page.evaluate("posmodel.closeSession()")
        expect(self.page.locator(".o_kkt_x_report")).to_be_visible()
        self.page.locator(".modal-body input").first.fill(COUNTED)
        self.keep("10-closing")
        self.page.locator(".modal-footer .btn-primary").first.click()
        expect(self.page.locator(".o_kkt_shift_report")).to_be_visible()
        self.keep("11-z-report")


def main():
    PICTURES.mkdir(parents=True, exist_ok=True)
    errors: list[str] = []
    for language, code in LANGUAGES.items():
        with Shop() as shop, browser_page(errors) as page:
            shop.database.execute(LANGUAGE, code)
            shop.database.execute(MANAGER)
            Day(shop, page, language).go()
    sys.exit("\n".join(errors))


if __name__ == "__main__":
    main()
