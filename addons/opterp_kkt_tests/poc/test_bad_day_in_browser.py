# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""An administrator in Chromium on a bad day, against a live server: the OFD is cut off, Redis gone, a register held, a document
refused; and back to where all is well, by what the pages offer alone. Screenshots are among the logs.
"""

import pytest
from harness.browser import browser_page, executable
from harness.processes import LOGS, wait_until
from harness.stack import Odoo
from harness.till import Client
from playwright.sync_api import Page, expect

DASHBOARD = "/odoo/fiscal-dashboard"
ALARMS = "/odoo/fiscal-alarms"
OPEN = "SELECT 1 FROM kkt_circuit_breaker WHERE state = 'open'"
REJECTED = "SELECT 1 FROM kkt_receipt WHERE state = 'rejected'"
TOLD = "SELECT 1 FROM kkt_alarm WHERE kind = %s AND told_level > 0"
# A minute of waiting for the next probe would prove nothing here: the breaker is reset by hand before.
LONG_RECOVERY = "UPDATE kkt_circuit_breaker SET recovery_timeout = 3600, version = version + 1"

# The dashboard looks from time to time, too: without that it can only have heard of a change.
WITHOUT_POLLS = """
    const set = window.setTimeout;
    window.setTimeout = (call, ms, ...values) => set(call, ms === 15000 ? 2 ** 30 : ms, ...values);
"""


def picture(page: Page, name: str):
    page.screenshot(path=LOGS / f"bad-day-{name}.png")


def press(page: Page, name: str):
    page.locator(f"button[name={name}]:visible").first.click()


def confirm(page: Page):
    page.click(".modal-footer .btn-primary")


def log_in(page: Page, host: Odoo):
    page.goto(f"{host.url}/web/login?redirect={DASHBOARD}")
    page.fill("input[name=login]", "admin")
    page.fill("input[name=password]", "admin")
    page.click(".oe_login_form button[type=submit]")
    expect(page.locator(".kkt-registers tbody tr")).to_have_count(2)


def open_register(page: Page, host: Odoo, name: str):
    page.goto(host.url + DASHBOARD)
    page.locator(".kkt-registers").get_by_role("button", name=name).first.click()
    expect(page.locator("[name=fiscal_drive_number]")).to_be_visible()


def see_why_nothing_goes(page: Page):
    """The dashboard says that the breaker is open; *Deliver now* says why nothing went, and when the next try is."""
    expect(page.locator(".kkt-ofd .badge.text-bg-danger")).to_have_text("breaker open")
    picture(page, "1-dashboard")
    page.locator(".kkt-registers tr", has_text="Breaker open").first.locator("button").first.click()
    press(page, "action_deliver_now")
    expect(page.locator(".o_notification")).to_contain_text("Next try in")
    picture(page, "2-deliver-now")


def hold(page: Page):
    press(page, "action_hold")
    confirm(page)
    expect(page.locator(".o_kkt_queue")).to_contain_text("This register is held")
    picture(page, "3-held")


def reset_the_breaker(page: Page, host: Odoo):
    page.goto(host.url + DASHBOARD)
    page.locator(".kkt-ofd .h4").click()
    press(page, "action_test_connection")
    expect(page.locator(".o_notification")).to_contain_text("The OFD answers")
    page.locator("[name=breaker_id] a, [name=breaker_id] button.o_external_button").first.click()
    press(page, "action_reset")
    confirm(page)
    picture(page, "4-reset")


def release(page: Page, host: Odoo):
    """In the alarm itself."""
    page.goto(host.url + ALARMS)
    press(page, "action_release_hold")
    confirm(page)
    picture(page, "5-released")


def retry_what_was_refused(page: Page, host: Odoo):
    page.goto(host.url + ALARMS)
    press(page, "action_open_rejected")
    page.locator(".o_list_view .o_data_row").first.click()
    expect(page.locator(".alert-danger:visible").first).to_contain_text("bad_vat")
    picture(page, "6-rejected")
    press(page, "action_retry")
    expect(page.locator(".alert-danger:visible")).to_have_count(0)


def see_that_all_is_well(page: Page, host: Odoo):
    page.goto(host.url + DASHBOARD)
    expect(page.locator(".kkt-registers tr", has_text="All delivered")).to_have_count(2)
    picture(page, "7-all-well")


@pytest.mark.at_length
@pytest.mark.skipif(not executable, reason="no Chromium or Chrome here")
def test_back_from_a_bad_day_by_the_pages_alone(shop, report):
    errors: list[str] = []
    with report.scenario("A bad day, in the browser") as scenario, browser_page(errors) as page:
        host = shop.host()
        admin = Client(host)
        names = [row["name"] for row in admin.call("kkt.register", "search_read", [], ["name"], order="id")]
        shop.database.execute(LONG_RECOVERY)
        tills = [shop.till(host, number) for number in range(2)]
        shop.settle()
        page.add_init_script(WITHOUT_POLLS)
        log_in(page, host)

        shop.redis.kill()
        shop.ofd.mode("fail")
        for till in tills:
            till.sell()
        wait_until(lambda: shop.database.value(OPEN), 300, "the breaker to open")
        see_why_nothing_goes(page)
        open_register(page, host, names[0])
        expect(page.locator(".alert-warning:visible", has_text="Redis is missing")).to_be_visible()
        hold(page)
        scenario.step("the OFD is cut off, Redis gone, a register held: the pages say so")

        shop.redis.start()
        shop.ofd.mode("ok")
        reset_the_breaker(page, host)
        wait_until(lambda: shop.database.value(TOLD, "held"), 300, "the alarm of the hold")
        release(page, host)
        shop.settle()
        scenario.step("reset and released: everything is delivered")

        shop.ofd.refuse('"totalSum"', "bad_vat", "no such rate")
        tills[1].sell()
        wait_until(lambda: shop.database.value(REJECTED), 300, "the refusal")
        shop.ofd.refuse("")
        wait_until(lambda: shop.database.value(TOLD, "rejected"), 300, "the alarm of the refusal")
        retry_what_was_refused(page, host)
        see_that_all_is_well(page, host)
        shop.settle()
        assert shop.violations() == errors == []
        scenario.figure("five buttons: Hold, Reset, Release Hold, Retry, and Test Connection to be sure")
