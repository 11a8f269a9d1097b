"""What a shift costs: sessions opened and closed with and without the addon, and a closing after much.

Processor time of Odoo and its PostgreSQL backends, as in `sale`: other work on the machine hardly changes it.
"""

import json

from bench.cost import get_seconds
from bench.figures import tell
from bench.shops import config_ids, two_shops
from harness.hands import Person
from harness.stack import Odoo
from harness.till import Till

ROUNDS = 12
CLOSINGS = 12
RECEIPTS = 1000  # in the shift that is closed
COPY_RECEIPTS = """
    INSERT INTO kkt_receipt ({names})
    SELECT {values} FROM kkt_receipt r JOIN kkt_register g ON g.id = r.register_id, generate_series(1, {count}) number
     WHERE r.id = {last}
"""
COPIED = """
    SELECT column_name AS name FROM information_schema.columns
     WHERE table_name = 'kkt_receipt' AND is_generated = 'NEVER' AND column_name NOT IN ('id', 'pos_order_id')
"""
ANOTHER = {
    "idempotency_key": "r.idempotency_key || number",
    "fd_number": "g.last_fd_number + number",
    "queue_number": "g.last_queue_number + number",
}
IN_THE_SHIFT: dict[str, str] = {}
GO_ON_AFTER = """
    UPDATE kkt_register SET last_fd_number = last_fd_number + {count}, last_queue_number = last_queue_number + {count}
     WHERE id = {register}
"""
LAST_RECEIPT = "SELECT id, register_id FROM kkt_receipt WHERE document_type = 'receipt' ORDER BY id DESC LIMIT 1"


def main():
    with two_shops() as hosts:
        _compare_sessions(hosts)
        _compare_answers(hosts)
        _close_shifts(hosts[1])


def _compare_sessions(hosts: tuple[Odoo, Odoo]):
    spent = [0.0, 0.0]
    for number in range(ROUNDS + 1):
        for which, host in enumerate(hosts) if number % 2 else reversed(list(enumerate(hosts))):
            before = get_seconds(host)
            till = Till(host, config_ids(host)[0])
            till.close()
            spent[which] += get_seconds(host) - before if number else 0
    _tell("a session opened and closed", spent[0], spent[1], ROUNDS, unit=" × core")


def _compare_answers(hosts: tuple[Odoo, Odoo]):
    sizes = []
    for host in hosts:
        till = Till(host, config_ids(host)[1])
        order = till.order([till.line(product) for product in till.products[:3]], payments="exact")
        answer = till.call("pos.order", "sync_from_ui", [order], context={"config_id": till.config_id})
        sizes.append(len(json.dumps(answer, ensure_ascii=False).encode()))
    detail = f"3 lines: core {sizes[0]} bytes, with receipts {sizes[1]}"
    tell("the answer to a sale, bytes", sizes[1] / sizes[0], unit=" × core", detail=detail)


def _close_shifts(host: Odoo):
    till, person = Till(host, config_ids(host)[2]), Person(host)
    person.context = till.context
    empty = _close_some(till, person, 1)
    full = _close_some(till, person, RECEIPTS)
    _tell(f"a shift of {RECEIPTS} receipts closed", empty, full, CLOSINGS, unit=" × one of 1 receipt")


def _close_some(till: Till, person: Person, receipts: int) -> float:
    """Seconds of processor time that the closings take together."""
    spent = 0.0
    for _number in range(CLOSINGS):
        till.sell()
        if receipts > 1:
            copy_documents(till.odoo, receipts - 1, IN_THE_SHIFT)
        register = till.odoo.database.query(LAST_RECEIPT)[0]["register_id"]
        before = get_seconds(till.odoo)
        person.close_shift(register)
        spent += get_seconds(till.odoo) - before
    return spent


def copy_documents(host: Odoo, count: int, changed: dict[str, str]):
    """Documents like the last one, in its shift, past all Python: whoever counts them reads only what is copied here."""
    database = host.database
    [last] = database.query(LAST_RECEIPT)
    values = {row["name"]: f"r.{row['name']}" for row in database.query(COPIED)} | ANOTHER | changed
    names, expressions = ", ".join(values), ", ".join(values.values())
    database.execute(COPY_RECEIPTS.format(names=names, values=expressions, count=count, last=last["id"]))
    database.execute(GO_ON_AFTER.format(count=count, register=last["register_id"]))
    database.execute("VACUUM ANALYZE kkt_receipt")  # what autovacuum does in time: its summaries tell which pages are old


def _tell(what: str, before: float, after: float, times: int, **facts):
    tell(what, after / before, detail=f"{1000 * before / times:.0f} ms, then {1000 * after / times:.0f} ms each", **facts)
