"""How fast others bring documents to the same OFD in order, against the same bare loop: a plain cron that commits each, OCA's
queue_job, and Procrastinate. Their packages are fetched when they are not there.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import harness.product  # noqa: F401  (the product's package without Odoo)
from bench.bare import be_slow, compare, post_all
from harness.processes import new_file
from harness.stack import Database, Emulator, Odoo, as_environment
from harness.till import Client
from opterp_kkt.core.hlc import Timestamp
from opterp_kkt.transports.base import Contents
from opterp_kkt.transports.http import HttpTransport

MODULES = ("odoo-addon-queue-job==19.0.2.4.0.1", "openupgradelib==3.13.7")  # their other needs are Odoo's
LIBRARIES = ("procrastinate==3.10.0", "psycopg[binary,pool]==3.3.9", "httpx==0.28.1")
HOME = Path(__file__).resolve().parents[3] / ".run" / "others"
OWN = Path(__file__).parent / "rivals"
PLAN = ((0.0, 100), (0.020, 60))  # latency (s), documents
ROUNDS = 3
PATIENCE = 600.0  # s; only ends what hangs
ITEM = {"name": "Оправа Ray-Ban RB5154 49 мм", "price": 1250000, "quantity": 1, "sum": 1250000, "nds": 11, "paymentType": 4}
OWN_ADDON = "opterp_kkt_rivals"
MODEL = f"{OWN_ADDON}.document"
RUNNER = {"ODOO_QUEUE_JOB_CHANNELS": "root:1,root.documents:1", "ODOO_QUEUE_JOB_HOST": "127.0.0.1"}
SWITCH = "UPDATE ir_cron SET active = %s, nextcall = now() AT TIME ZONE 'UTC' WHERE cron_name = 'Post documents'"


def main():
    _fetch()
    environment = {"ODOO_ADDONS_PATH": f"{HOME / 'odoo' / 'addons'},{OWN}", "PYTHONPATH": str(HOME)}
    with Database(template="opterp_kkt_base") as database, Emulator() as ofd:
        _install(database, environment)
        with (
            Odoo(database, crons=1, environment=environment) as calling,
            Odoo(database, crons=0, options=("--load", "base,web,queue_job"), environment=environment | RUNNER) as queueing,
        ):
            _compare(
                ofd,
                {
                    "a plain cron, a commit each": partial(_by_cron, Client(calling), ofd),
                    "queue_job, in order": partial(_by_queue_job, Client(queueing), ofd),
                    "Procrastinate, one at a time": partial(_by_procrastinate, ofd),
                },
            )


def _compare(ofd: Emulator, ways: dict[str, Callable]):
    for latency, count in PLAN:
        for name, bring in ways.items():
            compare(
                f"{name}, OFD answers in {1000 * latency:.0f} ms",
                [
                    (_measure(ofd, latency, count, bring), _measure(ofd, latency, count, partial(post_all, ofd)))
                    for _number in range(ROUNDS)
                ],
                f"{count} documents: {{:.1f}}/s, bare loop {{:.0f}}/s",
            )


def _measure(ofd: Emulator, latency: float, count: int, bring: Callable) -> float:
    """Documents per second, from the first request to the last."""
    be_slow(ofd, latency)
    stamp = time.time_ns()
    bring([_make(f"{stamp}-{number}", number) for number in range(1, count + 1)])
    history = ofd.history()
    assert len(history) == count, f"{len(history)} requests about {count} documents"
    return 1000 * (count - 1) / (history[-1]["arrived"] - history[0]["arrived"])


def _make(key: str, number: int) -> dict:
    """A document as ours are."""
    document = {"code": 3, "fiscalDocumentNumber": number, "operationType": 1, "totalSum": 1250000, "items": [ITEM]}
    contents = Contents(key, "receipt", "9999078900000001", "0000000001012345", number, Timestamp(1, 0, "till"), document)
    return {"key": key, "payload": HttpTransport.encode(contents)}


# -- each way ----------------------------------------------------------------------------------------------------------------


def _by_cron(client: Client, ofd: Emulator, documents: list[dict]):
    client.call(MODEL, "create", _for(ofd, documents))
    database = client.odoo.database
    database.execute(SWITCH, True)
    database.wake_crons()
    ofd.wait_accepted(len(documents), PATIENCE)
    database.execute(SWITCH, False)


def _by_queue_job(client: Client, ofd: Emulator, documents: list[dict]):
    client.call(MODEL, "post_later", _for(ofd, documents))
    ofd.wait_accepted(len(documents), PATIENCE)


def _for(ofd: Emulator, documents: list[dict]) -> list[dict]:
    return [document | {"url": ofd.url} for document in documents]


def _by_procrastinate(ofd: Emulator, documents: list[dict]):
    with _file_of(documents) as file, _fresh_database() as dsn:
        script = [sys.executable, str(OWN / "procrastinating.py"), dsn, ofd.url, file]
        subprocess.run(script, check=True, env=os.environ | {"PYTHONPATH": str(HOME)}, stderr=subprocess.DEVNULL)


# -- what they stand on ------------------------------------------------------------------------------------------------------


@contextmanager
def _file_of(documents: list[dict]):
    file = new_file("documents", ".json")
    file.write_text(json.dumps(documents))
    yield str(file)


@contextmanager
def _fresh_database():
    """The connection string of one."""
    with Database(template="opterp_kkt_base") as database:
        yield " ".join(f"{name}={value}" for name, value in {"dbname": database.name, **database.dsn}.items())


def _fetch():
    marker = HOME / "packages"
    if not marker.exists() or marker.read_text() != repr(MODULES + LIBRARIES):
        print("fetching queue_job and Procrastinate (once)", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--target", str(HOME)]
        subprocess.run([*pip, "--no-deps", *MODULES], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(
            [*pip, *LIBRARIES], check=True, stderr=subprocess.DEVNULL
        )  # it speaks of Odoo's needs, which are met elsewhere
        marker.write_text(repr(MODULES + LIBRARIES))


def _install(database: Database, environment: dict):
    """Install our addon for queue_job, which brings that with it; a failure shows its last words."""
    log = new_file("rivals", ".log")
    options = ["-c", os.environ["ODOO_RC"], "-d", database.name, "--data-dir", str(database.data_dir), "--stop-after-init"]
    with log.open("wb") as output:
        status = subprocess.run(
            ["odoo", "server", *options, "--no-http", "--log-level", "warn", "--max-cron-threads", "0", "-i", OWN_ADDON],
            env=os.environ | as_environment(database.dsn) | environment,
            stdout=output,
            stderr=output,
        ).returncode
    assert status == 0, log.read_text(errors="replace")[-3000:]
