# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""From an empty database to the first receipt at the OFD, in Chromium against a live server: by what the pages offer alone, with
its clicks counted. Screenshots are among the logs.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from harness.browser import browser_page, executable
from harness.processes import LOGS
from harness.stack import Database, Emulator, Odoo, Redis
from playwright.sync_api import Locator, Page, expect

EMPTY = "opterp_kkt_base"  # Odoo with its point of sale, without addons of ours or data
INN = "7700123459"  # nobody's, but valid
CLICKS = 10
SALE = "SELECT r.idempotency_key, r.total FROM kkt_receipt r WHERE r.document_type = 'receipt'"


class Hand:
    """What a person does; each click counts."""

    def __init__(self, page: Page):
        self.page = page
        self.clicks = 0

    def click(self, target: str | Locator):
        locator = self.page.locator(target) if isinstance(target, str) else target
        locator.click()
        self.clicks += 1

    def picture(self, name: str):
        self.page.screenshot(path=LOGS / f"start-{name}.png")


@contextmanager
def empty_shop() -> Iterator[tuple[Database, Emulator, Odoo]]:
    with Redis() as redis, Emulator() as ofd, Database(EMPTY) as database, Odoo(database, redis_url=redis.url) as host:
        yield database, ofd, host


def log_in(page: Page, host: Odoo):
    page.goto(f"{host.url}/web/login?redirect=/odoo/apps")
    page.fill("input[name=login]", "admin")
    page.fill("input[name=password]", "admin")
    page.click(".oe_login_form button[type=submit]")
    expect(page.locator(".o_searchview_input")).to_be_visible()


def install(hand: Hand):
    """The addon leads to its start page by itself."""
    hand.page.fill(".o_searchview_input", "54-FZ")
    hand.page.keyboard.press("Enter")
    expect(hand.page.locator(".o_kanban_record:not(.o_kanban_ghost)")).to_have_count(1)
    hand.click(".o_kanban_record button[name=button_immediate_install]")
    expect(hand.page.locator(".kkt-start")).to_be_visible()
    hand.picture("1-installed")


def prepare(hand: Hand, ofd: Emulator):
    """What is wrong is told at the field, and nothing is made of it."""
    page = hand.page
    page.fill("#kkt_trial_inn", INN[:-1] + "0")
    page.fill("#kkt_trial_url", ofd.url)
    hand.click(".kkt-make-trial")
    expect(page.locator(".kkt-trial .invalid-feedback")).to_be_visible()
    hand.picture("2-wrong-inn")
    page.fill("#kkt_trial_inn", INN)
    hand.click(".kkt-make-trial")
    for step in ("company", "taxes", "ofd", "register", "payments"):
        expect(page.locator(f".kkt-step-{step}.kkt-is-done")).to_be_visible()
    expect(page.locator(".kkt-step-ofd .alert-success")).to_contain_text(ofd.url)
    hand.picture("3-prepared")


def sell(hand: Hand):
    page = hand.page
    hand.click(".kkt-open-till")
    hand.click(".modal-footer .btn-primary")
    hand.click("article.product")
    hand.click(".product-screen .pay-order-button")
    hand.click(page.locator(".payment-screen .paymentmethod").first)
    hand.click(".payment-screen .validation-button")
    expect(page.locator(".pos-receipt img.o_kkt_qr")).to_be_visible()
    hand.picture("4-receipt")


@pytest.mark.at_length
@pytest.mark.skipif(not executable, reason="no Chromium or Chrome here")
def test_from_an_empty_database_to_the_first_receipt(environment, report):
    errors: list[str] = []
    with (
        report.scenario("First steps") as scenario,
        empty_shop() as (database, ofd, host),
        browser_page(errors) as page,
    ):
        log_in(page, host)
        hand = Hand(page)
        install(hand)
        scenario.step("installed: the start page is open")
        prepare(hand, ofd)
        scenario.step("prepared, and the OFD answers")
        sell(hand)
        opening, receipt = ofd.wait_accepted(2) and ofd.accepted()
        [sale] = database.query(SALE)
        assert opening["document_type"] == "shift_open"
        assert (receipt["key"], receipt["total_sum"]) == (sale["idempotency_key"], sale["total"])
        assert hand.clicks <= CLICKS, f"{hand.clicks} clicks"
        scenario.step(f"the first receipt is at the OFD, {hand.clicks} clicks after the list of apps, one of them a mistake")
        page.goto(f"{host.url}/odoo/fiscal-start")
        expect(page.locator(".kkt-is-done")).to_have_count(7)
        hand.picture("5-done")
        assert host.errors() == errors == []
        scenario.figure(f"{hand.clicks} clicks from the list of apps to the first receipt at the OFD, a mistake included")
