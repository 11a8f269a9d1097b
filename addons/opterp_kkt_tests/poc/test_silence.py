# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Nothing delivers, and Odoo's own health is green: a server without cron threads, and a threaded one whose PostgreSQL was
restarted. Monitoring, the command and the till hear of it all the same.
"""

import json
import re

import pytest
import requests
from harness import nursery
from harness.processes import new_file, wait_until
from harness.shop import Shop
from harness.stack import Odoo, Postgres, environment_dsn
from harness.till import RpcError, Till

pytestmark = pytest.mark.at_length

MINUTES = 7  # that pass at once; after five nothing else may hide that nobody delivers
# Time passes: what is written down is older. Servers that live write anew what they do.
LET_PASS = """
    WITH passed AS (SELECT %s * interval '1 minute' AS time),
         jobs AS (UPDATE ir_cron SET lastcall = lastcall - time, create_date = create_date - time FROM passed)
    UPDATE kkt_receipt SET create_date = create_date - time FROM passed WHERE state IN ('pending', 'sending')
"""


def health(host: Odoo) -> tuple[int, set[str]]:
    """The status, and the codes of the reasons."""
    answer = requests.get(f"{host.url}/kkt/health", timeout=30)
    return answer.status_code, {reason["code"] for reason in answer.json()["reasons"]}


def command(shop: Shop, host: Odoo) -> tuple[int, dict]:
    """`odoo kkt status --json`: the exit status, and what it prints."""
    printed = new_file("status", ".json")
    arguments = ["kkt", "status", "--json", "-d", shop.database.name, "--data-dir", str(shop.database.data_dir)]
    status = nursery.launch(shop.database, arguments, host.extra, new_file("status", ".log"), printed).wait()
    return status, json.loads(printed.read_text().splitlines()[-1])


def till_asks(till: Till) -> dict:
    register = till.first("kkt.register", [("pos_config_id", "=", till.config_id)], ["id"])["id"]
    return till.call("kkt.register", "get_health", [register])


def let_pass(shop: Shop):
    shop.database.execute(LET_PASS, MINUTES)


def is_silent(shop: Shop, host: Odoo, till: Till):
    """All three say that nobody delivers; Odoo says that all is well."""
    let_pass(shop)
    status, codes = health(host)
    assert status == 503 and {"delivery_silent", "late"} <= codes, codes
    asked = till_asks(till)
    assert (asked["waiting"], asked["obstacle"]) == (1, "delivery_silent") and asked["oldest"] >= MINUTES * 60, asked
    exit_status, report = command(shop, host)
    assert exit_status == 1 and {"delivery_silent", "late"} <= {reason["code"] for reason in report["reasons"]}
    [waits] = [row for row in report["registers"] if row["waiting"]]
    assert waits["waits_for"] == "delivery_silent"
    assert requests.get(f"{host.url}/web/health?db_server_status=1", timeout=30).status_code == 200


def is_heard_again(shop: Shop, host: Odoo, till: Till):
    """A server with cron threads comes: everything is delivered, and nobody complains."""
    host.crons = 4
    host.restart()
    till.move_to(host)
    shop.settle()
    wait_until(lambda: health(host) == (200, set()), 600, "health", 0.5)
    asked = till_asks(till)
    assert (asked["waiting"], asked["rejected"], asked["oldest"], asked["obstacle"]) == (0, 0, 0, False), asked
    assert command(shop, host)[0] == 0
    assert shop.violations() == []


def test_a_server_without_cron_threads(shop, report):
    with report.scenario("silence: a server without cron threads") as story:
        host = shop.host(crons=4)
        till = shop.till(host)
        let_pass(shop)
        till.sell()
        shop.settle()
        wait_until(lambda: not health(host)[1] & {"delivery_silent", "late"}, 600, "a call of the delivery jobs", 0.5)
        story.step(f"{MINUTES} minutes pass on a server that delivers: the next call makes up for them")

        host.crons = 0
        host.restart()
        till.move_to(host)
        till.sell()
        is_silent(shop, host, till)
        story.step("without cron threads: 503, exit status 1, the till hears that nobody delivers; /web/health is green")
        is_heard_again(shop, host, till)
        story.figure("no cron threads: health, command and till say so; /web/health stays green; healthy after the restart")


@pytest.fixture
def own_postgres(environment):
    with Postgres() as postgres:
        yield postgres


def test_postgresql_restarted_under_a_threaded_server(own_postgres, report):
    own_postgres.adopt("opterp_kkt_template", environment_dsn())
    with Shop(own_postgres) as shop, report.scenario("silence: PostgreSQL restarted under a threaded server") as story:
        host = shop.host(crons=4)
        till = shop.till(host)
        till.sell()
        shop.settle()
        own_postgres.kill()
        wait_until(lambda: _dead_threads(host) == host.crons, 600, "the end of the cron threads")  # those that are late live on
        own_postgres.start()
        wait_until(lambda: _sells(till), 600, "a sale after the restart", 0.5)
        is_silent(shop, host, till)
        story.step("the cron threads are gone: 503, exit status 1, the till hears it; /web/health is green")
        is_heard_again(shop, host, till)
        story.figure("PostgreSQL restarted under a threaded server: the same")


def _dead_threads(host: Odoo) -> int:
    """Cron threads that found PostgreSQL away when they wanted to connect again."""
    return len(set(re.findall(r"Exception in thread (odoo\.service\.cron\.cron\d+)", host.log.read_text(errors="replace"))))


def _sells(till: Till) -> bool:
    """The server's connections are dead at first: a till tries again, as its browser does."""
    try:
        return bool(till.sell())
    except (RpcError, requests.RequestException):
        return False
