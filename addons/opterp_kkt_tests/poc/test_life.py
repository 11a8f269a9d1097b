# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Life of the addon: it is upgraded, backed up and restored, gets another fiscal drive, is uninstalled, and is installed on a
shop with thousands of old orders.
"""

import threading
import time
from pathlib import Path

import pytest
from harness import judge, nursery
from harness.contest import Breaker, set_number
from harness.hands import Refused, fiscal_administrator
from harness.judge import is_acceptance
from harness.processes import new_file, wait_until
from harness.shop import Shop, read_receipts, registration_number
from harness.stack import Database, Odoo
from harness.till import Client, RpcError, Till

pytestmark = pytest.mark.at_length

OLD_ORDERS = 5000
NEW_DRIVE = "9999000000000777"
BASE = "opterp_kkt_base"  # Odoo with the same modules, which has never seen the addon

RECEIPTS = "SELECT to_jsonb(r) AS receipt FROM kkt_receipt r ORDER BY id"
SENDING = "SELECT count(*) FROM kkt_receipt WHERE state = 'sending'"
TRIED = "SELECT count(*) FROM kkt_receipt WHERE state <> 'delivered' AND (attempts > 0 OR claimed_at IS NOT NULL)"
UUID = "SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'"
ASKED_CRONS = "SELECT FROM ir_cron FOR UPDATE NOWAIT"  # Odoo asks whether one runs, before an uninstall
MODULE = [("name", "=", "opterp_kkt")]

# A job of Odoo's own, which neutralizing leaves alone.
AUTOVACUUM = "(SELECT res_id FROM ir_model_data WHERE module = 'base' AND name = 'autovacuum_job')"
MAKE_DUE = f"UPDATE ir_cron SET active = TRUE, nextcall = now() AT TIME ZONE 'UTC' WHERE id = {AUTOVACUUM}"
IS_DUE = f"SELECT nextcall <= now() AT TIME ZONE 'UTC' FROM ir_cron WHERE id = {AUTOVACUUM}"

# The demo shop came with the addon; a real one is its owner's.
OWN_SHOP = "DELETE FROM ir_model_data WHERE module = 'opterp_kkt' AND name LIKE 'demo%'"
# What an addon may leave behind.
NAMES = """
    SELECT 'column ' || table_name || '.' || column_name AS name FROM information_schema.columns WHERE table_schema = 'public'
     UNION SELECT 'index ' || indexname FROM pg_indexes WHERE schemaname = 'public'
     UNION SELECT 'constraint ' || conname FROM pg_constraint
     UNION SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
     UNION SELECT 'function ' || proname FROM pg_proc
     UNION SELECT 'model ' || model FROM ir_model
     UNION SELECT 'field ' || model || '.' || name FROM ir_model_fields
     UNION SELECT 'cron ' || cron_name FROM ir_cron
     UNION SELECT 'server action ' || (name ->> 'en_US') FROM ir_act_server
     UNION SELECT 'window action ' || (name ->> 'en_US') FROM ir_act_window
     UNION SELECT 'menu ' || (name ->> 'en_US') FROM ir_ui_menu
     UNION SELECT 'view ' || name FROM ir_ui_view
     UNION SELECT 'group ' || (name ->> 'en_US') FROM res_groups
     UNION SELECT 'rule ' || name FROM ir_rule
     UNION SELECT 'access ' || name FROM ir_model_access
     UNION SELECT 'mail template ' || (name ->> 'en_US') FROM mail_template
     UNION SELECT 'activity type ' || (name ->> 'en_US') FROM mail_activity_type
     UNION SELECT 'activities of ' || res_model FROM mail_activity
     UNION SELECT 'messages of ' || model FROM mail_message WHERE model LIKE 'kkt.%%'
     UNION SELECT 'parameter ' || key FROM ir_config_parameter
     UNION SELECT 'external id ' || module || '.' || name FROM ir_model_data WHERE module = 'opterp_kkt'
"""
SET_BY_SHOP = {"parameter web.base.url.freeze"}
LOCKS = """
    SELECT count(*) FROM pg_locks
     WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# Copies of one order, as many as a shop has after some years.
MULTIPLY = """
    INSERT INTO pos_order
    SELECT c.* FROM pos_order o, generate_series(1, %s) n, LATERAL jsonb_populate_record(o, jsonb_build_object(
           'id', nextval('pos_order_id_seq'), 'uuid', gen_random_uuid(), 'access_token', gen_random_uuid(),
           'name', 'Old ' || n, 'pos_reference', 'old-' || n)) c
     WHERE o.id = %s
"""
# Rows that were written one by one, and the files that tables are in: another one means that all was rewritten.
WRITTEN = """
    SELECT relname, n_tup_upd, pg_relation_filenode(relid) FROM pg_stat_user_tables
     WHERE relname IN ('pos_order', 'pos_order_line', 'pos_payment') ORDER BY relname
"""
# What an older version left: lines without what was stated of them, numbers that nobody checked; and a tax of today.
AS_BEFORE = """
    UPDATE pos_order_line SET kkt_vat_rate = NULL, kkt_settlement_method = NULL;
    UPDATE kkt_register SET registration_number = '0000000000000001';
    UPDATE account_tax SET kkt_vat_rate = '2' WHERE kkt_vat_rate = '11';
"""
RATES = """
    SELECT jsonb_path_query_array(payload::jsonb, '$.document.items[*].nds')::text AS rates
      FROM kkt_receipt WHERE pos_order_id = ANY(%s) ORDER BY id
"""


def run_odoo(database: Database, *arguments):
    """Run an `odoo` command to its end on a database's files; a failure shows its last words."""
    log = new_file("odoo-once", ".log")
    command, *rest = arguments
    status = nursery.launch(database, [command, "--data-dir", str(database.data_dir), *rest], {}, log).wait()
    assert status == 0, f"{' '.join(arguments)} ended with {status}:\n{log.read_text(errors='replace')[-3000:]}"


def run_server(database: Database, *options):
    run_odoo(database, "server", "-d", database.name, "--no-http", "--stop-after-init", "--log-level", "warn", *options)


def waiting_shop(shop: Shop, sales: int, **options) -> tuple[Odoo, Till]:
    """Sell at a host that does not deliver yet; it does after its next start."""
    host = shop.host(crons=0, **options)
    till = shop.till(host)
    for _number in range(sales):
        till.sell()
    host.crons = 2
    return host, till


# --- upgrade ---------------------------------------------------------------------------------------------------


def test_an_upgrade_changes_nothing_of_what_waits(shop, report):
    with report.scenario("life: upgrade with undelivered receipts") as scenario:
        host = shop.host()
        till = shop.till(host)
        shop.ofd.mode("wait")
        set_number(till, "request_timeout", 600)
        sale, *_others = [till.sell() for _number in range(5)]
        wait_until(lambda: shop.database.value(SENDING), 300, "a document under way")
        host.kill()
        shop.database.execute(AS_BEFORE)
        before = shop.database.query(RECEIPTS)
        states = [row["receipt"]["state"] for row in before]
        assert states[:2] == ["delivered", "sending"] and states[3:] == 3 * ["pending"], "the third may be claimed already"

        run_server(shop.database, "-u", "opterp_kkt")
        assert shop.database.query(RECEIPTS) == before
        scenario.step("killed with one document under way and 4 waiting; the upgrade changed nothing of them")

        shop.ofd.mode("ok")
        host.start()
        till.move_to(host)
        till.sell()
        refund = till.refund(sale)
        shop.settle()
        assert shop.violations() == []
        assert host.errors() == []
        rates = shop.database.query(RATES, [sale["id"], refund["id"]])
        assert rates == [{"rates": "[11]"}] * 2, "a refund states what the sale stated, not the tax of today"
        scenario.figure(
            "1 document under way and 4 waiting are the same after the upgrade; 7 delivered, once, in order; a sale"
            " of before was refunded at its own rate"
        )


# --- backup and restore ----------------------------------------------------------------------------------------


class Restored(Database):
    """A backup under another name, as `odoo db load` makes it: a copy, to which Odoo gives a database uuid of its own."""

    def __init__(self, backup: Path):
        super().__init__()
        self.backup = backup

    def create(self):
        run_odoo(self, "db", "load", self.name, str(self.backup))
        return self


class Neutralized(Database):
    """A copy that was neutralized, as test servers want it."""

    def create(self):
        super().create()
        run_odoo(self, "neutralize", "-d", self.name)
        return self


def test_restored_under_another_name(shop, report, tmp_path):
    with report.scenario("life: a backup with undelivered receipts, restored under another name") as scenario:
        host, till = waiting_shop(shop, 3)
        run_odoo(shop.database, "db", "dump", shop.database.name, str(tmp_path / "backup.zip"))
        with Restored(tmp_path / "backup.zip") as copy:
            with Neutralized(template=copy.name) as trial:
                _delivers_nothing(shop, trial)
            scenario.figure("neutralized: 4 receipts wait, neither crons nor Deliver now try one, the OFD hears nothing")
            host.restart()
            till.move_to(host)
            till.sell()
            shop.settle()
            assert shop.violations() == []
            scenario.step("the shop itself delivers the 3 receipts that wait in the backup, and one more")
            _doubles_nothing(shop, copy)
        scenario.figure("as it is: the OFD recognised the 3 receipts by their keys; the copy's own sale has a key of its own")


def _delivers_nothing(shop: Shop, trial: Database):
    """Nor when somebody puts the OFD's address in again."""
    with Odoo(trial, redis_url=shop.redis.url) as host:
        client = Client(host)
        registers = client.call("kkt.register", "search", [])
        Till(host, shop.configs()[0]).sell()  # which wakes whatever would deliver
        assert trial.execute("UPDATE kkt_ofd SET url = %s WHERE url <> %s", shop.ofd.url, shop.ofd.url)
        told = client.call("kkt.register", "action_deliver", registers)
        assert told == {"delivered": 0, "rejected": 0, "waiting": 4, "busy": []}
        _crons_look(trial)
        assert not trial.value(TRIED)
        assert len(shop.ofd.history()) == 1, "the opening of the shift, which was delivered before the backup"
        assert host.errors() == []


def _crons_look(trial: Database):
    """The cron threads look at what is due, twice: a job of Odoo's own that is due, too, has run."""
    for _look in range(2):
        assert trial.execute(MAKE_DUE) == 1
        wait_until(lambda: trial.wake_crons() or not trial.value(IS_DUE), 600, "a run of what is due", 1)


def _doubles_nothing(shop: Shop, copy: Database):
    known = len(shop.ofd.history())
    with Odoo(copy, redis_url=shop.redis.url) as host:
        Till(host, shop.configs()[0]).sell()
        wait_until(lambda: {receipt.state for receipt in read_receipts(copy)} == {"delivered"}, 300, "delivery by the copy", 0.2)
        assert host.errors() == []
    _judge_copy(shop, copy, shop.ofd.history(since=known))


def _judge_copy(shop: Shop, copy: Database, requests: list[dict]):
    ours, theirs = shop.receipts(), read_receipts(copy)
    backed_up = {receipt.key for receipt in ours[:4]}
    *old, new = theirs
    assert {receipt.key for receipt in old} == backed_up
    assert [request["outcome"] for request in requests if request["key"] in backed_up] == 3 * ["duplicate"]
    assert copy.value(UUID) != shop.database.value(UUID)
    assert new.key.startswith(copy.value(UUID)), "a key that the shop itself can't choose"
    assert new.fd_number == ours[4].fd_number, "a copy of an emulated register counts on from the same number"
    history = shop.ofd.history()
    assert judge.accepted_exactly_once(history, [*ours, new]) == []
    assert judge.bytes_never_change(history) == []


# --- another fiscal drive --------------------------------------------------------------------------------------


def test_another_fiscal_drive(shop, report):
    with report.scenario("life: another fiscal drive in mid-life, while the till sells") as scenario:
        host, till = waiting_shop(shop, 3)
        drives = Drives(host, till)
        drives.change_while_selling()
        host.restart()
        till.move_to(host)
        till.sell()
        shop.settle()

        accepted = [(request["register"], request["fd_number"]) for request in shop.ofd.accepted()]
        assert accepted == [(receipt.register, receipt.fd_number) for receipt in shop.receipts()], "in the order of the sales"
        assert len(set(accepted)) == len(accepted)
        stretches = drives.numbers(accepted)
        assert [drive for drive, _numbers in stretches] == [drives.old, NEW_DRIVE, drives.old]
        (_, first), (_, second), (_, third) = stretches
        assert first + third == list(range(1, len(first + third) + 1)), "the old drive goes on where it stopped"
        assert second == list(range(1, len(second) + 1)), "the new drive begins at 1"
        assert shop.violations() == []
        scenario.figure(
            f"receipts: old drive {len(first)}, new drive {len(second)}, the old one again {len(third)}; numbers"
            " begin at 1 and go on, all are delivered in the order of the sales"
        )


class Drives:
    """Puts another fiscal drive into a till's register, and the old one back, while the till goes on selling."""

    def __init__(self, host: Odoo, till: Till):
        self.till = till
        self.admin = fiscal_administrator(host)
        self.register = self.admin.first("kkt.register", [("pos_config_id", "=", till.config_id)], ["fiscal_drive_number"])
        self.old = self.register["fiscal_drive_number"]

    def change_while_selling(self):
        done = threading.Event()
        seller = threading.Thread(target=self._sell_until, args=(done,))
        seller.start()
        try:
            for drive in (NEW_DRIVE, self.old):
                sold = len(self.till.seconds)
                wait_until(lambda sold=sold: len(self.till.seconds) > sold + 4, 300, "sales before the next drive")
                wait_until(lambda drive=drive: self._change(drive), 300, "a moment without a shift")
        finally:
            done.set()
            seller.join()

    def _change(self, drive: str) -> bool:
        try:
            self.admin.change_drive(self.register["id"], drive)
            return True
        except Refused:  # a sale was quicker
            return False

    def _sell_until(self, done: threading.Event):
        while not done.wait(0.2):  # a cashier is slower still; Odoo tries a refused write five times only
            self.till.sell()

    @staticmethod
    def numbers(documents: list[tuple[str, int]]) -> list[tuple[str, list[int]]]:
        """Stretches of one drive, with their FD numbers."""
        stretches: list[tuple[str, list[int]]] = []
        for drive, number in documents:
            if not stretches or stretches[-1][0] != drive:
                stretches.append((drive, []))
            stretches[-1][1].append(number)
        return stretches


# --- uninstall, and install on a shop with old orders ----------------------------------------------------------


def test_uninstalled_and_installed_on_a_shop_with_old_orders(shop, report):
    with report.scenario("life: uninstall; install on a shop with thousands of old orders") as scenario:
        shop.database.execute(OWN_SHOP)
        host = shop.host()
        till = shop.till(host)
        admin = Client(host, timeout=600)
        admin.call("res.users", "write", [admin.uid], {"lang": "ru_RU"})
        admin.authenticate()

        _refused_while_something_is_undelivered(shop, host, till, admin)
        scenario.step("refused while a receipt waits, and while a rejected one is nobody's business")
        _make_by_hand(shop, till, admin)
        listed = _uninstall(admin)
        assert {"kkt.receipt", "kkt.register", "kkt.ofd"} <= listed
        scenario.figure(f"uninstalled: {len(listed)} models were listed before")

        order = _is_healthy_without(shop, host, till.config_id)
        _install_again(shop, host, order)
        scenario.step(f"installed on a shop with {OLD_ORDERS} old orders: none was written, none has a receipt")
        _sells_with_receipts(shop, host, till.config_id, order)
        scenario.figure(
            f"installed with {OLD_ORDERS} paid orders: 0 of their rows written, 0 receipts, the administrator is"
            " told; one was refunded, with its receipt"
        )


def _refused_while_something_is_undelivered(shop: Shop, host: Odoo, till: Till, admin: Client):
    module = admin.call("ir.module.module", "search", MODULE)
    breaker = Breaker(shop, host)
    breaker.force_open()
    till.sell()
    with pytest.raises(RpcError, match="ждут отправки 1, отклонено 0"):
        admin.call("ir.module.module", "button_immediate_uninstall", module)
    shop.ofd.refuse('"totalSum"')
    breaker.automatic()
    shop.settle()
    with pytest.raises(RpcError, match="ждут отправки 0, отклонено 1"):
        admin.call("ir.module.module", "button_immediate_uninstall", module)
    shop.ofd.refuse("")
    admin.call("kkt.receipt", "action_retry", admin.call("kkt.receipt", "search", [("state", "=", "rejected")]))
    shop.settle()


def _uninstall(admin: Client) -> set[str]:
    """What an administrator does in Apps; return the models that the wizard says it will delete.

    Odoo refuses while a cron runs, with other words; ours rest when nothing waits.
    """
    wizard = admin.call(
        "base.module.uninstall", "create", {"module_ids": [[6, 0, admin.call("ir.module.module", "search", MODULE)]]}
    )
    listed = admin.call("base.module.uninstall", "read", [wizard], ["model_ids"])[0]["model_ids"]
    names = {row["model"] for row in admin.call("ir.model", "read", listed, ["model"])}
    wait_until(lambda: _try_to_uninstall(admin, wizard), 300, "a moment without crons", 1)
    return names


def _try_to_uninstall(admin: Client, wizard: int) -> bool:
    try:
        admin.call("base.module.uninstall", "action_uninstall", [wizard], context={"lang": "en_US"})
    except RpcError as error:
        if "processing a scheduled action" not in str(error):
            raise
        return False
    return True


def _make_by_hand(shop: Shop, till: Till, admin: Client):
    """What did not come with the addon: a setting, one more deliverer, alarms that people were told of, one marked as done."""
    set_number(admin, "run_seconds", 40)
    cron = admin.first("ir.cron", [("cron_name", "like", "KKT")], ["id"])["id"]
    admin.call("ir.cron", "copy", [cron], {"name": "one more deliverer"})
    till.sell(kkt_hlc={"local_time": int(time.time() * 1000) + 3_600_000, "logical_counter": 0, "node": "ahead"})
    watch = admin.first("ir.model.data", [("module", "=", "opterp_kkt"), ("name", "=", "ir_cron_watch")], ["res_id"])["res_id"]
    admin.call("ir.cron", "method_direct_trigger", [watch])
    shop.settle()
    told = [row["id"] for row in shop.database.query("SELECT id FROM mail_activity WHERE kkt_alarm_id IS NOT NULL")]
    admin.call("mail.activity", "action_feedback", told[:1])
    assert shop.database.value("SELECT count(*) FROM mail_activity WHERE NOT active"), "done, and kept"


def _is_healthy_without(shop: Shop, host: Odoo, config_id: int) -> dict:
    """Nothing is left, and a till sells: at the same server, and at one that has just been started."""
    assert _names(shop.database) - _names(_base(shop)) == SET_BY_SHOP
    assert not shop.database.value(LOCKS)
    Till(host, config_id).sell()
    host.restart()
    order = Till(host, config_id).sell()
    assert [line for line in host.errors() if ASKED_CRONS not in line] == []
    return order


def _names(database: Database) -> set[str]:
    return {row["name"] for row in database.query(NAMES)}


def _base(shop: Shop) -> Database:
    base = Database(dsn=shop.database.dsn)
    base.name = BASE
    return base


def _install_again(shop: Shop, host: Odoo, order: dict):
    host.stop()
    shop.database.execute(MULTIPLY, OLD_ORDERS, order["id"])
    before = shop.database.query(WRITTEN)
    run_server(shop.database, "-i", "opterp_kkt")
    assert shop.database.query(WRITTEN) == before
    host.start()


def _sells_with_receipts(shop: Shop, host: Odoo, config_id: int, order: dict):
    shop.ofd.reset()
    admin = Client(host)
    told = _connect_register(shop, admin, config_id)
    assert len(told) == 1 and f": {_count_old(shop, config_id)}." in told[0] and "чек" in told[0]
    till = Till(host, config_id)
    orders = [till.refund(order)["id"], till.sell()["id"]]
    shop.settle()
    receipts = read_receipts(shop.database)
    opening, *settlements = receipts
    assert opening.kind == "shift_open", "the session was open already, so the first sale opens the shift"
    assert [(receipt.order, receipt.operation_type) for receipt in settlements] == list(zip(orders, "21", strict=True))
    assert judge.violations(shop.ofd.history(), receipts, orders) == []
    assert len(list(filter(is_acceptance, shop.ofd.history()))) == 3


def _connect_register(shop: Shop, admin: Client, config_id: int) -> list[str]:
    """Set up a till's register; return what its chatter says of old orders."""
    company = admin.call("pos.config", "read", [config_id], ["company_id"])[0]["company_id"][0]
    admin.context["allowed_company_ids"] = [company]
    ofd = admin.call("kkt.ofd", "create", {"name": "OFD", "url": shop.ofd.url})
    register = admin.call(
        "kkt.register",
        "create",
        {
            "name": "Register 1",
            "pos_config_id": config_id,
            "company_id": company,
            "ofd_id": ofd,
            "serial_number": "LIFE1",
            "registration_number": registration_number(admin, 1, "LIFE1"),
            "fiscal_drive_number": NEW_DRIVE,
            "retail_address": "Moscow",
            "retail_place": "Shop",
        },
    )
    domain = [("model", "=", "kkt.register"), ("res_id", "=", register), ("body", "like", "Заказ")]
    return [message["body"] for message in admin.call("mail.message", "search_read", domain, ["body"])]


def _count_old(shop: Shop, config_id: int) -> int:
    return shop.database.value("SELECT count(*) FROM pos_order WHERE config_id = %s AND state IN ('paid', 'done')", config_id)
