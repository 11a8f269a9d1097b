# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Two hosts close the shift of one register at once, also while its till sells: each shift gets one report on its closing. Nor do
two who open it at once get in each other's way.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from harness.hands import Refused, fiscal_administrator
from harness.till import Till

ROUNDS = 100 if os.environ.get("SLOW") else 3 if os.environ.get("SHORT") else 10
CLOSINGS = "SELECT count(*) FROM kkt_receipt WHERE document_type = 'shift_close'"
OPENINGS = "SELECT count(*) FROM kkt_receipt WHERE document_type = 'shift_open'"


def test_two_hosts_close_one_shift(shop, report):
    with report.scenario(f"two hosts close one shift at once, {ROUNDS} times, while a till sells") as scenario:
        hosts = [shop.host(), shop.host()]
        till = shop.till(hosts[0])
        people = [fiscal_administrator(host) for host in hosts]
        [register] = people[0].call("kkt.register", "search", [("pos_config_id", "=", till.config_id)])
        for _round in range(ROUNDS):
            till.sell()
            before = shop.database.value(CLOSINGS)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda person: _close(person, register), people))
            assert shop.database.value(CLOSINGS) == before + 1
        shop.settle()
        assert len(_closings(shop)) == ROUNDS, "the OFD got one report for each shift"
        scenario.step(f"{ROUNDS} shifts closed by two at once: {ROUNDS} reports at the OFD")
        _close_while_selling(till, people, register)
        shop.settle()
        assert len(_closings(shop)) == shop.database.value(CLOSINGS)
        assert shop.violations() == []
        scenario.figure(f"{len(_closings(shop))} shifts, each with one report on its closing and its receipts before it")


def _closings(shop) -> set[int]:
    """FD numbers of the reports on a closing that the OFD has."""
    return {request["fd_number"] for request in shop.ofd.accepted() if request["document_type"] == "shift_close"}


def _close(person, register: int):
    with suppress(Refused):  # the other one was first
        person.close_shift(register)


def _close_while_selling(till: Till, people: list, register: int):
    done = threading.Event()

    def close_again_and_again(person):
        while not done.wait(0.5):
            _close(person, register)

    with ThreadPoolExecutor(2) as pool:
        closing = [pool.submit(close_again_and_again, person) for person in people]
        try:
            for _number in range(2 * ROUNDS):
                till.sell()
        finally:
            done.set()
        for each in closing:
            each.result()


def test_a_session_and_a_button_open_one_shift(shop, report):
    with report.scenario(f"a session and a button open one shift at once, {ROUNDS} times") as scenario:
        hosts = [shop.host(), shop.host()]
        till = shop.till(hosts[0])
        at_the_till, in_the_office = (fiscal_administrator(host) for host in hosts)
        [register] = in_the_office.call("kkt.register", "search", [("pos_config_id", "=", till.config_id)])
        told = []
        for _round in range(ROUNDS):
            [session] = at_the_till.call("pos.session", "search", [("config_id", "=", till.config_id), ("state", "!=", "closed")])
            at_the_till.close_session(session)
            before = shop.database.value(OPENINGS)
            told += _open_at_once(at_the_till, in_the_office, till.config_id, register)
            assert shop.database.value(OPENINGS) == before + 1
        assert all("is open" in words for words in told), told
        shop.settle()
        assert shop.violations() == []
        scenario.figure(f"{ROUNDS} shifts opened by two at once, each with one report; {len(told)} were told that it is open")


def _open_at_once(at_the_till, in_the_office, config: int, register: int) -> list[str]:
    at_the_till.call("pos.config", "open_ui", [config])
    [session] = at_the_till.call("pos.session", "search", [("config_id", "=", config), ("state", "=", "opening_control")])
    steps = [
        lambda: at_the_till.call("pos.session", "set_opening_control", [session], 0, ""),
        lambda: in_the_office.call("kkt.register", "action_open_shift", [register]),
    ]
    barrier, told = threading.Barrier(len(steps)), []

    def take(step):
        barrier.wait()
        try:
            step()
        except Refused as refusal:
            told.append(str(refusal))

    with ThreadPoolExecutor(len(steps)) as pool:
        list(pool.map(take, steps))
    return told
