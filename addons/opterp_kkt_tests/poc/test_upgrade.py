# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Upgrade from a version of before, which has left documents in every state: nothing of them changes, all are delivered.

The earlier version itself makes the shop: its addon, packed in `versions/` as it was (without pictures and translations; the
commit stands in `VERSIONS`), is installed in a database of its own and run. `FULL=1` (`make proofs`) takes all versions.
"""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from harness.hands import fiscal_administrator
from harness.processes import ROOT, new_file
from harness.shop import Shop
from harness.stack import Database, Emulator, Odoo

pytestmark = pytest.mark.at_length
VERSIONS = {  # git archive COMMIT addons/opterp_kkt | xz
    "19.0.1.5.0": "5fb4593",
    "19.0.1.2.0": "e28ab39",
    "19.0.1.1.0": "b910084",
    "19.0.1.0.0": "b9a7cf0^",
}
CHOSEN = list(VERSIONS) if os.environ.get("FULL") else list(VERSIONS)[:1]
BASE = "opterp_kkt_base"  # Odoo with the same modules, which has never seen the addon
TOKEN = "given-to-the-version-of-before"
BAD, UNBUILT = "77777", "NULL"
LOAD_DEMO = """
from odoo.tools.convert import convert_file
convert_file(env, 'opterp_kkt', 'demo/optical_shop.xml', None, mode='init', noupdate=True)
env.cr.commit()
"""
KEPT = """
    SELECT r.id, r.idempotency_key, r.payload, r.state, r.in_doubt, r.fd_number, r.queue_number, r.attempts, r.last_error
      FROM kkt_receipt r ORDER BY r.id
"""
HELD = "SELECT register_id FROM kkt_delivery WHERE hold_reason IS NOT NULL"
SECRETS = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'kkt_ofd' AND column_name = 'secret'"

INDEXES = "SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'kkt\\_%%' ORDER BY indexdef"


class ShopOfBefore(Database):
    """The demo shop as a version of before makes it."""

    def __init__(self, version: str):
        super().__init__(template=BASE)
        with tarfile.open(Path(__file__).parent / "versions" / f"{version}.tar.xz") as packed:
            packed.extractall(self.data_dir)  # made by us
        self.environment = {"ODOO_ADDONS_PATH": str(self.data_dir / "addons")}

    def create(self):
        super().create()
        self.odoo("server", "-i", "opterp_kkt", "--no-http", "--stop-after-init", before=True)
        self.odoo("shell", "--no-http", before=True, said=LOAD_DEMO)
        return self

    def odoo(self, command: str, *options: str, before: bool = False, said: str = ""):
        """Run an `odoo` command to its end, with the addon of before or with ours; a failure shows its last words."""
        log = new_file("odoo-once", ".log")
        arguments = ["odoo", command, "-d", self.name, "--data-dir", str(self.data_dir), "--log-level", "warn", *options]
        with log.open("wb") as output:
            status = subprocess.run(
                arguments,
                cwd=ROOT,
                env=os.environ | (self.environment if before else {}),
                input=said.encode(),
                stdout=output,
                stderr=output,
            ).returncode
        assert status == 0, f"{' '.join(arguments)} ended with {status}:\n{log.read_text(errors='replace')[-3000:]}"


class EarlierShop(Shop):
    """A shop whose OFD asks for a token, and whose Odoo is of before until it is upgraded."""

    def __init__(self, version: str):
        super().__init__()
        self.ofd = Emulator(token=TOKEN)
        self.database = ShopOfBefore(version)

    def host_of_before(self) -> Odoo:
        return self.host(crons=0, environment=self.database.environment)


@pytest.mark.parametrize("version", CHOSEN)
def test_all_that_a_version_of_before_left_is_delivered(version, environment, report):
    with EarlierShop(version) as shop, report.scenario(f"upgrade from {version}") as scenario:
        host = shop.host_of_before()
        _leave_in_every_state(shop, host)
        before = shop.database.query(KEPT)
        host.stop()
        states = [(row["state"], row["payload"] is not None, row["in_doubt"]) for row in before if row["state"] != "delivered"]
        assert {("rejected", True, False), ("rejected", False, False), ("pending", True, True), ("pending", True, False)} <= set(
            (state, built, bool(doubt)) for state, built, doubt in states
        )
        scenario.step(f"{version} left {len(states)} documents: rejected, never built, in doubt, held, behind an open breaker")

        shop.database.odoo("server", "-u", "opterp_kkt", "--no-http", "--stop-after-init")
        assert shop.database.query(KEPT) == before
        with Database() as fresh:
            assert shop.database.query(INDEXES) == fresh.query(INDEXES), "as in a shop that begins today"
        assert len(shop.database.query(HELD)) == 1
        assert shop.database.value("SELECT state FROM kkt_circuit_breaker") == "open"
        assert not shop.database.value(SECRETS), "the token has moved"
        assert shop.database.value("SELECT credentials->>'token' FROM kkt_ofd") == TOKEN
        scenario.step("upgraded: nothing of them changed, the hold and the open breaker are there")

        host = shop.host(crons=0)
        _press_the_buttons(shop, host)
        host.crons = 2
        host.restart()
        shop.till(host).sell()
        shop.settle()
        after = {row["id"]: row for row in shop.database.query(KEPT)}
        assert {row["state"] for row in after.values()} == {"delivered"}
        assert all(after[row["id"]]["idempotency_key"] == row["idempotency_key"] for row in before)
        assert all(after[row["id"]]["payload"] == row["payload"] for row in before if row["payload"])
        assert shop.violations() == []
        assert host.errors() == []
        scenario.figure(f"{len(states)} documents of {version} and a new one delivered, once, in order, with the same bytes")


def _leave_in_every_state(shop: EarlierShop, host: Odoo):
    """Four registers: one with what was refused or never built, one that is held, one in doubt, one that the breaker keeps."""
    refused, held, doubtful, waiting = (shop.till(host, number, delivers=False) for number in range(4))
    admin = fiscal_administrator(host)
    [ofd] = admin.call("kkt.ofd", "search", [])
    admin.change("kkt.ofd", ofd, token=TOKEN)
    registers = {
        till: admin.first("kkt.register", [("pos_config_id", "=", till.config_id)], ["id"])["id"]
        for till in (refused, held, doubtful, waiting)
    }

    refused.sell()
    shop.ofd.refuse('"totalSum"')
    refused.sell()
    admin.deliver_now(registers[refused])
    shop.ofd.refuse("")
    taxes = shop.database.query("SELECT id, kkt_vat_rate FROM account_tax WHERE kkt_vat_rate IS NOT NULL")
    shop.database.execute("UPDATE account_tax SET kkt_vat_rate = NULL")
    refused.sell()
    for tax in taxes:
        shop.database.execute("UPDATE account_tax SET kkt_vat_rate = %s WHERE id = %s", tax["kkt_vat_rate"], tax["id"])

    held.sell()
    held.sell()
    admin.hold(registers[held])
    doubtful.sell()
    doubtful.sell()
    shop.ofd.mode("drop", count=1)
    admin.deliver_now(registers[doubtful])
    waiting.sell()
    waiting.sell()
    shop.ofd.mode("fail", status=500, count=1000)
    while shop.database.value("SELECT state FROM kkt_circuit_breaker") != "open":
        admin.deliver_now(registers[waiting])
    shop.ofd.mode("ok")


def _press_the_buttons(shop: Shop, host: Odoo):
    admin = fiscal_administrator(host)
    admin.reset(*admin.call("kkt.circuit.breaker", "search", []))
    admin.retry(*admin.call("kkt.receipt", "search", [("state", "=", "rejected")]))
    admin.release_hold(shop.database.value(HELD))
