# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One till: a browser with a profile of its own, and who sells at it."""

import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from harness.browser import executable
from harness.processes import LOGS
from playwright.sync_api import Error, Page, Playwright, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from poc.till_nemesis.verdict import Promise

STEP = 12_000  # ms that a cashier waits for what should come next, before she reloads the page
HOURS = 5 * 3600_000  # ms
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SCREENS = "article.product, .receipt-screen, .payment-screen, .ticket-screen, .modal-footer"
CLOCK = """(() => {
    const True = Date;
    const off = () => { try { return Number(localStorage.getItem("clock-off")) } catch { return 0 } };
    window.Date = class extends True {
        constructor(...args) { args.length ? super(...args) : super(True.now() + off()) }
        static now() { return True.now() + off() }
    };
})()"""
ORDER = """() => {
    const order = posmodel.getOrder();
    return order && {
        uuid: order.uuid,
        total: Math.round(order.priceIncl * 100),
        stamp: order.kkt_hlc,
        numbers: (order.kkt_documents || []).map((document) => document.fd_number).filter(Boolean),
    };
}"""
SHOWN = """() => {
    const orders = posmodel.models["pos.order"].filter((order) => order.isSynced && order.kkt_state);
    return Object.fromEntries(orders.map((order) => [order.uuid, order.kkt_state]));
}"""
CUSTOMER = "posmodel.getOrder().setPartner(posmodel.models['res.partner'].find((partner) => partner.name))"
DISCOUNT = "posmodel.getOrder().lines[0].setDiscount(10)"
HALF = "posmodel.getOrder().payment_ids[0].setAmount(100)"
TAKEN_BACK = "posmodel.getOrder().lines[0].setQuantity(-1)"
ORDERS = "posmodel.navigate('TicketScreen', { stateOverride: { filter: 'SYNCED' } })"
REFUNDABLE = """() => posmodel.models["pos.order"]
    .filter((order) => order.isSynced && ["pending", "delivered"].includes(order.kkt_state) && !order.is_refund)
    .filter(({ lines }) => lines.length === 1 && lines[0].qty === 1 && !lines[0].refundedQty)
    .map((order) => order.uuid)"""
UNSENT = "() => posmodel.unsyncedKktOrders.length"
GREEN_THOUGH_UNSENT = f"({UNSENT})() > 0 && Boolean(document.querySelector('.o_kkt_status.text-success'))"
TICK = 6_000  # ms in which the icon has noticed what only the browser has
KINDS = {"sale": 6, "exchange": 2, "refund": 2}  # and how often each
HELP = 240.0  # s in which a page comes back by itself, with a reload and a new browser


class Cashier(threading.Thread):
    """Sells until she is told to stop, whatever happens to her browser; then waits until it has sent what it has.

    `tried` are the orders that she confirmed, `promises` those that the page then showed as paid.
    """

    def __init__(self, number: int, address: str, config: int, seed: int):
        super().__init__(name=f"cashier-{number}", daemon=True)
        self.number, self.config = number, config
        self.url = f"{address}/pos/ui/{config}"
        self.chance = random.Random(f"{seed}/{number}")
        self.faults: SimpleQueue[str] = SimpleQueue()
        self.stopped, self.gone = threading.Event(), threading.Event()
        self.tried: set[str] = set()
        self.promises: dict[str, Promise] = {}
        self.struck: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()
        self.errors: list[str] = []
        self.untrue: list[str] = []
        self.shown: dict[str, str] = {}
        self.help_needed = ""
        self.profile = Path(tempfile.mkdtemp(prefix="kkt_till_"))

    def run(self):
        try:
            with sync_playwright() as playwright:
                self._open_browser(playwright)
                self._work(playwright)
                self._look(playwright)
                self._end(self.context.close)
        except Exception as error:  # noqa: BLE001  (whatever it is, the run is to tell it)
            self.help_needed = repr(error)
        finally:
            shutil.rmtree(self.profile, ignore_errors=True)

    def _work(self, playwright: Playwright):
        while not self.stopped.is_set():
            try:
                self._sell(playwright)
            except Error as error:
                self.troubles[str(error).splitlines()[0][:60]] += 1
                self._recover(playwright)

    def _end(self, what):
        with suppress(Error):
            what()

    # -- her browser ---------------------------------------------------------------------------------------------

    def _open_browser(self, playwright: Playwright):
        self.context = playwright.chromium.launch_persistent_context(
            str(self.profile), executable_path=executable, args=ARGUMENTS, viewport={"width": 1366, "height": 768}
        )
        self.context.add_init_script(CLOCK)
        self._take_page(self.context.pages[0])

    def _take_page(self, page: Page):
        self.page = page
        page.set_default_timeout(STEP)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _recover(self, playwright: Playwright):
        """The page does not go on: she enters it once more, in a new browser if need be, until it is there."""
        began = time.monotonic()
        while not self.gone.is_set():
            if time.monotonic() - began > HELP:
                self.help_needed = f"its page did not come back: {self.page.url}"
            try:
                if self.page.is_closed():
                    self._end(self.context.close)
                    self._open_browser(playwright)
                return self._enter()
            except Error:
                time.sleep(0.5)

    def _enter(self):
        """Until there are products, or the receipt that was on the screen."""
        self.page.goto(self.url, timeout=60_000)
        if "/web/login" in self.page.url:
            self._log_in()
        self.page.wait_for_selector(f"{SCREENS}, .open-register-btn", timeout=60_000)
        self._answer_dialogs()
        if (button := self.page.locator(".open-register-btn")).is_visible():
            button.click()
        self.page.wait_for_selector(SCREENS)
        self._answer_dialogs()

    def _log_in(self):
        self.page.fill("input[name=login]", "kassir")
        self.page.fill("input[name=password]", "kassir")
        self.page.click(".oe_login_form button[type=submit]", timeout=60_000)
        self.page.wait_for_load_state(timeout=60_000)
        if "/pos/ui" not in self.page.url:
            self.page.goto(self.url, timeout=60_000)

    def _answer_dialogs(self):
        while (button := self.page.locator(".modal-footer .btn-primary")).count():
            button.last.click()
            self.page.wait_for_timeout(200)

    # -- what happens to it --------------------------------------------------------------------------------------

    def _suffer(self, playwright: Playwright):
        """What was to strike this browser."""
        try:
            fault = self.faults.get_nowait()
        except Empty:
            return
        self.struck[fault] += 1
        self.page.wait_for_timeout(self.chance.uniform(0, 500))
        getattr(self, f"_{fault}")(playwright)

    def _page_reloaded(self, playwright: Playwright):
        self._recover(playwright)

    def _tab_closed(self, playwright: Playwright):
        old = self.page
        self._take_page(self.context.new_page())
        old.close()
        self._recover(playwright)

    def _browser_killed(self, playwright: Playwright):
        for process in _processes_of(self.profile):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._end(self.context.close)
        while True:
            with suppress(Error):
                self._open_browser(playwright)
                return self._recover(playwright)

    def _logged_out(self, playwright: Playwright):
        self.context.clear_cookies()

    def _clock_ahead(self, playwright: Playwright):
        self.page.evaluate(f"localStorage.setItem('clock-off', {HOURS})")

    def _clock_behind(self, playwright: Playwright):
        self.page.evaluate(f"localStorage.setItem('clock-off', {-HOURS})")

    # -- what she does -------------------------------------------------------------------------------------------

    def _sell(self, playwright: Playwright):
        """Once at most in a sale something strikes, at a step of hers: a slow machine would only load pages otherwise."""
        steps = (self._begin, self._choose, self._pay, self._confirm, self._see)
        struck = self.chance.choice(steps)
        for step in steps:
            if step == struck:
                self._suffer(playwright)
            self._answer_dialogs()
            self._look_at_icon()
            step()

    def _begin(self):
        """An empty order on the screen of products, wherever the page is."""
        if not self.page.evaluate("Boolean(window.posmodel)"):
            self._enter()
        self.page.evaluate("posmodel.addNewOrder(); posmodel.navigate('ProductScreen', { orderUuid: posmodel.getOrder().uuid })")

    def _choose(self):
        """Something to be paid, on the screen where it is paid."""
        [self.kind] = self.chance.choices(list(KINDS), list(KINDS.values()))
        sold = self.page.evaluate(REFUNDABLE) if self.kind == "refund" else []
        if sold:
            return self._take_back(self.chance.choice(sold))
        self.kind = "sale" if self.kind == "refund" else self.kind
        self._add_product(0)
        if self.kind == "exchange":
            self.page.evaluate(TAKEN_BACK)
            self._add_product(1)
        for wish in (CUSTOMER, DISCOUNT):
            if self.chance.random() < 0.3:
                self.page.evaluate(wish)
        self.page.locator(".product-screen .pay-order-button").click()

    def _add_product(self, lines: int):
        """Another one than what the order has; the dearer ones stand last."""
        products = self.page.locator("article.product")
        products.first.wait_for()
        products.nth(2 * lines + self.chance.randrange(2)).click()
        self._answer_dialogs()
        self.page.wait_for_function(f"posmodel.getOrder().lines.length > {lines}", timeout=STEP)

    def _take_back(self, uuid: str):
        self.page.evaluate(ORDERS)
        self.page.locator(f'.ticket-screen .order-row[orderuuid="{uuid}"]').click()
        self.page.locator(".ticket-screen .pay-order-button").click()

    def _pay(self):
        methods = self.page.locator(".payment-screen .paymentmethod")
        methods.first.wait_for()
        first, second = self.chance.sample(range(2), 2)  # cash and card; what is owed needs a customer
        methods.nth(first).click()
        if self.kind == "sale" and self.chance.random() < 0.3:
            self.page.evaluate(HALF)
            methods.nth(second).click()

    def _confirm(self):
        self.order = self.page.evaluate(ORDER)
        self.tried.add(self.order["uuid"])
        self.page.locator(".payment-screen .validation-button").click()

    def _see(self):
        """She believes what she sees; what became of the order otherwise is not hers to know."""
        until = time.monotonic() + STEP / 400
        while not self.page.locator(".receipt-screen").is_visible():
            if time.monotonic() > until:
                raise Error("no receipt came")
            self._answer_dialogs()
            self.page.wait_for_timeout(100)
        order = self.page.evaluate(ORDER)
        if order and order["uuid"] == self.order["uuid"]:
            stamp = order["stamp"]["local_time"], order["stamp"]["logical_counter"]
            numbers = tuple(order["numbers"])
            self.promises[order["uuid"]] = Promise(order["uuid"], order["total"], stamp, self.number, self.kind, numbers)

    def _look_at_icon(self):
        """What only this browser has is seen by it within a tick, whatever else has failed."""
        if self.page.evaluate(GREEN_THOUGH_UNSENT):
            try:
                self.page.wait_for_function(f"!({GREEN_THOUGH_UNSENT})", timeout=TICK)
            except PlaywrightTimeout:
                self.untrue.append("its icon was green although it had unsent sales")

    # -- the end -------------------------------------------------------------------------------------------------

    def _look(self, playwright: Playwright):
        """The faults are over: the page sends what it has and shows what is true without a click. A wrong clock is put right."""
        with suppress(Error):
            if self.page.evaluate("localStorage.getItem('clock-off')"):
                self.page.evaluate("localStorage.removeItem('clock-off')")
                self._recover(playwright)
        while not self.gone.is_set():
            with suppress(Error):
                self.page.wait_for_timeout(500)
                self.unsent = self.page.evaluate(UNSENT)
                self.shown = self.page.evaluate(SHOWN)
                self.color = self.page.locator(".o_kkt_status").get_attribute("class")
        self._end(lambda: self.page.screenshot(path=LOGS / f"till-nemesis-{self.number}.png"))


def _processes_of(profile: Path) -> list[int]:
    """The browser that works with that profile, and its helpers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"--user-data-dir={profile}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found
