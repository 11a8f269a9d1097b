# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A server with workers is started while documents wait. The process that forks them, then and whenever one has ended, has no
thread and no connection of ours: a worker would inherit a lock that nobody lets go, or a connection that others use.
"""

import os
import signal
from collections import Counter

import psutil
from harness.processes import children, wait_until
from harness.stack import Odoo

NEVER_BY_THEMSELVES = "UPDATE ir_cron SET nextcall = nextcall + interval '1 day'", "DELETE FROM ir_cron_trigger"


def shared_connections(host: Odoo) -> list[int]:
    """Ports of connections to PostgreSQL, at our end, that two of the server's processes hold."""
    postgres = int(host.database.dsn["port"])
    ports = Counter(
        connection.laddr.port
        for pid in [host.pid, *children(host.pid)]
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.raddr and connection.raddr.port == postgres
    )
    return [port for port, holders in ports.items() if holders > 1]


def judge(host: Odoo):
    assert psutil.Process(host.pid).num_threads() == 1, "the process that forks workers has a thread"
    assert shared_connections(host) == [], "processes share a connection"


def test_workers_inherit_nothing(shop, report):
    with report.scenario("workers: a start while documents wait, and workers that end") as story:
        seller = shop.host(crons=0)
        till = shop.till(seller)
        for _number in range(3):
            till.sell()
        seller.kill()
        waiting = shop.unfinished()
        assert waiting >= 3
        for statement in NEVER_BY_THEMSELVES:  # only who calls the crons has them run
            shop.database.execute(statement)
        host = shop.host(workers=3)
        judge(host)
        shop.settle()
        judge(host)
        story.figure(f"{waiting} documents waited, and were delivered without a request")

        till.move_to(host)
        workers = children(host.pid)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(children(host.pid)) - set(workers)) == len(workers), 300, "new workers")
        judge(host)
        till.sell()
        shop.settle()
        assert shop.violations() == []
