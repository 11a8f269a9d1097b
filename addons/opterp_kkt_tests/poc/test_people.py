# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What people and machines do around a sale: PostgreSQL has no connection left, somebody else's code sells in a transaction
of its own.
"""

import os
import subprocess
import threading
from contextlib import ExitStack, closing, suppress

import psycopg2
import pytest
from delivery import locks
from harness.hands import Refused, fiscal_administrator
from harness.processes import wait_until
from harness.shop import Shop
from harness.stack import TEMPLATE, Odoo, Postgres, environment_dsn
from harness.till import RpcError

pytestmark = pytest.mark.at_length
REGISTER = "SELECT id, pos_config_id FROM kkt_register WHERE active ORDER BY pos_config_id LIMIT 1"
OPEN_SESSION = "SELECT id FROM pos_session WHERE state = 'opened' AND config_id = %s"
RETAIL_PLACE = "SELECT retail_place FROM kkt_register WHERE id = %s"
LOCK_OF_ANOTHER = f"SELECT pg_advisory_lock({locks.SALE}, %s)"
GUARDS = f"SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND classid = {locks.GUARD}"
WAITS_FOR_THE_LOCK = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
SELL_LATER = """
env['kkt.register'].browse({register}).retail_place = "Written by the caller"
env['kkt.register']._take_sale_lock([{session}])
env.cr.commit()
"""


def take_all_connections(dsn: dict, stack: ExitStack) -> int:
    """Connect until PostgreSQL refuses; all connections end with `stack`."""
    taken = 0
    while True:
        try:
            stack.enter_context(closing(psycopg2.connect(dbname="postgres", **dsn)))
        except psycopg2.OperationalError as error:
            assert "connection" in str(error)
            return taken
        taken += 1


def test_sales_are_stored_while_postgresql_gives_no_new_connection(environment, report):
    """Odoo itself tells browsers of an order by a new connection, after the commit: its answer is then an error, and the till
    sends the order again.
    """
    with (
        report.scenario("people: PostgreSQL has no connection left") as scenario,
        Postgres() as postgres,
    ):
        postgres.adopt(TEMPLATE, environment_dsn())
        with Shop(postgres) as shop:
            host = shop.host()
            till = shop.till(host)
            till.sell()
            shop.settle()
            orders = [till.order(payments="exact") for _sale in range(3)]
            with ExitStack() as others:
                taken = take_all_connections(postgres.dsn, others)
                scenario.step(f"other programs hold the last {taken} connections; the till sells")
                for order in orders:
                    with suppress(RpcError):
                        till.sync(order)
                wait_until(lambda: _delivery_complains(host), 600, "delivery's word of it in the log")
                scenario.step("delivery says in the log that it gets no connection")
            stored = {receipt.uuid for receipt in shop.receipts()}
            assert stored >= {order["uuid"] for order in orders}, "committed before anybody asked again"
            rows = [till.sync(order) for order in orders]
            assert all(row["kkt_state"] in ("pending", "delivered") for row in rows)
            shop.settle()
            assert len(shop.receipts()) == 2 + len(orders), "of the shift's opening, the first sale and the others"
            assert shop.violations() == []


def _delivery_complains(host: Odoo) -> bool:
    lines = host.log.read_text(errors="replace").splitlines()
    return any("odoo.addons.opterp_kkt" in line and "too many clients" in line for line in lines)


def test_what_the_caller_of_a_sale_has_written_outlives_the_wait_for_its_turn(shop, report):
    """Code of others may sell in a transaction in which the ORM has still to write something."""
    with report.scenario("people: a sale in somebody else's transaction") as scenario:
        till = shop.till(shop.host(crons=0))
        till.sell()
        [register] = shop.database.query(REGISTER)
        session = shop.database.value(OPEN_SESSION, register["pos_config_id"])
        script = SELL_LATER.format(register=register["id"], session=session)
        with closing(psycopg2.connect(dbname=shop.database.name, **shop.database.dsn)) as other:
            other.cursor().execute(LOCK_OF_ANOTHER, [register["id"]])
            free = threading.Event()
            let_go = threading.Thread(target=lambda: (_await_a_waiter(shop, free), other.rollback(), other.close()))
            let_go.start()
            _run_in_shell(shop, script)
            free.set()
            let_go.join()
        assert shop.database.value(RETAIL_PLACE, register["id"]) == "Written by the caller"
        scenario.step("what it had not yet written was written")


def _await_a_waiter(shop: Shop, free: threading.Event):
    """Until somebody waits for the turn, or nobody will."""
    while not free.wait(0.2) and not shop.database.value(WAITS_FOR_THE_LOCK):
        pass


def test_a_person_is_told_in_words_that_postgresql_went_away(shop, report):
    """*Deliver now* while PostgreSQL ends the guard's session: the button says so, and what was under way is settled."""
    with report.scenario("people: PostgreSQL ends the connection of Deliver now") as scenario:
        host = shop.host(crons=0)
        shop.till(host).sell()
        [register] = shop.database.query(REGISTER)
        shop.ofd.mode("slow", seconds=3)
        said = []
        pressed = threading.Thread(target=_press_deliver_now, args=(host, register["id"], said))
        pressed.start()
        wait_until(lambda: shop.ofd.under_way() or said, 600, "a document under way")
        shop.database.query(GUARDS)
        pressed.join()
        shop.ofd.mode("ok")
        assert said == ["odoo.exceptions.UserError"], said
        again = fiscal_administrator(host)
        wait_until(lambda: again.deliver_now(register["id"]) and not shop.unfinished(), 600, "delivery", 0.5)
        assert shop.violations() == []
        scenario.step("said in words, then delivered once")


def _press_deliver_now(host: Odoo, register: int, said: list):
    try:
        said.append(fiscal_administrator(host).deliver_now(register))
    except (Refused, RpcError) as error:
        said.append(str(error).split(":")[0])


def _run_in_shell(shop: Shop, script: str):
    command = [
        "odoo",
        "shell",
        "-c",
        os.environ["ODOO_RC"],
        "-d",
        shop.database.name,
        "--no-http",
        "--log-level=error",
        "--max-cron-threads=0",
        "--data-dir",
        str(shop.database.data_dir),
    ]
    subprocess.run(command, input=script, text=True, check=True, timeout=600, stdout=subprocess.DEVNULL)
