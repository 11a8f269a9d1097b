# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The pictures of the manual, `make pictures`: the pages of a shop on a bad day, Russian and English, into docs/pictures.

A copy of the demo shop sells, its OFD stops to answer, one register is held and one document is refused.
"""

import sys
from io import BytesIO
from pathlib import Path

from harness import nursery
from harness.browser import browser_page, executable
from harness.processes import ROOT, wait_until
from harness.shop import Shop
from harness.stack import Odoo
from harness.till import Client
from PIL import Image
from playwright.sync_api import Page

HOME = ROOT / "docs" / "pictures"
LANGUAGES = {"ru": "ru_RU", "en": "en_US"}
SIZE = {"width": 1120, "height": 900}
PAGES = {  # what each shows, and what is there when it is drawn
    "start": ("/odoo/fiscal-start", ".kkt-start"),
    "dashboard": ("/odoo/fiscal-dashboard", ".kkt-chart canvas[width]"),
    "alarms": ("/odoo/fiscal-alarms", ".o_kanban_record:not(.o_kanban_ghost)"),
    "receipts": ("/odoo/fiscal-receipts", ".o_data_row"),
    "register": ("/odoo/cash-registers/{register}", "[name=queue_text] div"),
    "ofd": ("/odoo/fiscal-ofds/{ofd}", "[name=url]"),
}
OPEN = "SELECT 1 FROM kkt_circuit_breaker WHERE state = 'open'"
AGE = "UPDATE kkt_receipt SET create_date = create_date - interval '2 hours' WHERE state = 'pending'"
AGE_ALARMS = "UPDATE kkt_alarm SET first_seen = first_seen - interval '20 minutes'"
WATCH = "SELECT res_id FROM ir_model_data WHERE module = 'opterp_kkt' AND name = 'ir_cron_watch'"
TOLD = "SELECT count(*) FROM kkt_alarm WHERE told_level > 0"
LEAST_ALARMS = 3  # waiting, rejected, the OFD that does not answer


def spend_a_bad_day(shop: Shop, host: Odoo, admin: Client) -> dict[str, int]:
    """What the pages tell of. Return what their addresses name."""
    tills = [shop.till(host, number) for number in range(2)]
    for till in tills:
        for _sale in range(3):
            till.sell()
    shop.settle()
    shop.ofd.refuse("receipt", "bad_vat", "Недопустимая ставка НДС")
    tills[1].sell()
    shop.settle()
    shop.ofd.refuse("")
    shop.ofd.mode("fail")
    for till in tills:
        till.sell()
    wait_until(lambda: shop.database.value(OPEN), 300, "the breaker to open")
    shop.database.execute(AGE)
    watch(shop, admin)
    shop.database.execute(AGE_ALARMS)
    watch(shop, admin)
    register = admin.first("kkt.register", [], ["ofd_id"])
    return {"register": register["id"], "ofd": register["ofd_id"][0]}


def watch(shop: Shop, admin: Client):
    """Have the watch look until it has told of what there is."""

    def look() -> bool:
        shop.database.execute("UPDATE ir_cron SET nextcall = now() AT TIME ZONE 'UTC' WHERE id = %s", shop.database.value(WATCH))
        shop.database.wake_crons()
        return shop.database.value(TOLD) >= LEAST_ALARMS - 1

    wait_until(look, 120, "the alarms", 2)


def draw(page: Page, path: Path):
    """Few colours: a picture of a page has no more, and the repository keeps each one for ever."""
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    image.quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path.relative_to(ROOT))


def take_pictures(page: Page, host: Odoo, admin: Client, ids: dict[str, int]):
    page.set_viewport_size(SIZE)
    page.goto(f"{host.url}/web/login")
    page.fill("input[name=login]", "admin")
    page.fill("input[name=password]", "admin")
    page.click(".oe_login_form button[type=submit]")
    page.wait_for_url("**/odoo/**")
    for suffix, language in LANGUAGES.items():
        admin.call("res.users", "write", [admin.uid], {"lang": language})
        for name, (address, drawn) in PAGES.items():
            page.goto(host.url + address.format(**ids))
            page.locator(drawn).first.wait_for()
            page.wait_for_timeout(1500)  # fonts and charts are drawn
            draw(page, HOME / f"{name}.{suffix}.png")


def main() -> int:
    if not executable:
        print("no Chromium or Chrome here: install one", file=sys.stderr)
        return 1
    HOME.mkdir(parents=True, exist_ok=True)
    errors: list[str] = []
    with nursery.opened(), Shop() as shop, browser_page(errors) as page:
        host = shop.host()
        admin = Client(host)
        take_pictures(page, host, admin, spend_a_bad_day(shop, host, admin))
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
