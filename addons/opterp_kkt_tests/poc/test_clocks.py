# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Only PostgreSQL's clock schedules, and a wait that it stored while it was wrong is no longer than the wait's own maximum."""

import statistics
import time

import pytest
from harness.contest import Breaker
from harness.hands import alarms, fiscal_administrator, set_numbers
from harness.processes import wait_until
from harness.shop import Shop
from harness.stack import TEMPLATE, Clock, Postgres, environment_dsn

pytestmark = pytest.mark.at_length

HOUR = 3600
SECONDS = 600.0  # after which something hangs; two looks of Odoo's crons lie a minute apart
OFFSETS = (-HOUR, -30, -3, 0, 3, 30, HOUR)
SALES = 3
NOTE_TRIGGERS = """
    CREATE TABLE proof_trigger (at timestamp DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'), call_at timestamp);
    CREATE FUNCTION proof_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO proof_trigger (call_at) VALUES (NEW.call_at);
        RETURN NULL;
    END $$;
    CREATE TRIGGER proof AFTER INSERT ON ir_cron_trigger FOR EACH ROW EXECUTE FUNCTION proof_note();
"""
LATE = "SELECT extract(epoch FROM call_at - at)::float8 AS seconds FROM proof_trigger WHERE call_at > at"
WAITS = """
    SELECT extract(epoch FROM b.retry_at - now() AT TIME ZONE 'UTC')::float8 AS breaker,
           (SELECT extract(epoch FROM max(next_attempt_at) - now() AT TIME ZONE 'UTC')::float8 FROM kkt_receipt) AS receipt
      FROM kkt_circuit_breaker b
"""
NEXT_CALLS = """
    SELECT extract(epoch FROM min(nextcall) - now() AT TIME ZONE 'UTC')::float8 AS first,
           extract(epoch FROM max(nextcall) - now() AT TIME ZONE 'UTC')::float8 AS last
      FROM ir_cron WHERE id IN (SELECT res_id FROM ir_model_data WHERE module = 'opterp_kkt' AND model = 'ir.cron')
"""
FIVE_MINUTES = 300.0  # the longest interval of the addon's jobs


def test_a_hosts_clock_delays_no_sale(shop, report):
    """A trigger is due when it is set, whatever the host thinks that the time is."""
    with report.scenario("clocks: a host's clock is wrong") as scenario:
        clock = Clock()
        till = shop.till(shop.host(clock=clock))
        till.sell()
        shop.settle()
        shop.database.execute(NOTE_TRIGGERS)
        for offset in OFFSETS:
            clock.set(offset)
            seconds = []
            for _sale in range(SALES):
                count, sold = len(shop.ofd.accepted()), till.sell()
                began = time.time()
                assert sold and shop.database.query(LATE) == [], f"a host that is {offset:+} s off"
                shop.ofd.wait_accepted(count + 1, SECONDS)
                seconds.append(shop.ofd.accepted()[-1]["arrived"] / 1000 - began)
            scenario.figure(
                f"host {offset:+5} s: from the sale's answer to the OFD {statistics.median(seconds):.2f} s,"
                f" at most {max(seconds):.2f} s"
            )
        assert shop.violations() == []


@pytest.fixture
def postgres(environment):
    with Postgres(clocked=True) as postgres:
        postgres.adopt(TEMPLATE, environment_dsn())
        yield postgres


def test_postgresqls_clock_is_set_back(postgres, report):
    """An outage while it ran an hour ahead; then it is put right and the OFD is well."""
    with report.scenario("clocks: PostgreSQL's clock ran an hour ahead during an outage, then is put right") as scenario:
        with Shop(postgres) as shop:
            host = shop.host(crons=4)
            administrator, till = fiscal_administrator(host), shop.till(host)
            breaker = Breaker(shop, host)
            set_numbers(administrator, run_seconds=5)
            till.sell()
            shop.settle()
            postgres.clock.set(HOUR)
            shop.ofd.mode("reset")
            for _number in range(3):
                till.sell()
            breaker.wait_for("open")
            wait_until(lambda: shop.database.query(NEXT_CALLS)[0]["first"] > 0, SECONDS, "a run of every job ahead")
            postgres.clock.set(0)
            [waits] = shop.database.query(WAITS)
            scenario.step(f"put right; stored waits (s): {waits}, next runs of jobs {shop.database.query(NEXT_CALLS)[0]}")
            shop.ofd.mode("ok")
            healed = time.time()
            shop.settle(SECONDS)
            scenario.figure(f"delivered {time.time() - healed:.1f} s after the clock was put right and the OFD was well")
            till.sell()
            shop.settle(SECONDS)
            wait_until(lambda: shop.database.query(NEXT_CALLS)[0]["last"] <= FIVE_MINUTES, SECONDS, "jobs planned within minutes")
            assert shop.violations() == [] and not alarms(shop, "held")


def test_a_pause_that_was_stored_ahead(shop, report):
    """What an outage while the clock was wrong leaves: every stored time lies an hour ahead. Nobody presses anything."""
    with report.scenario("clocks: an OFD's pause, a breaker's recovery and a document's next try lie an hour ahead") as scenario:
        host = shop.host(crons=0)
        till = shop.till(host)
        till.sell()
        for statement in AHEAD:
            shop.database.execute(statement)
        host.stop()
        host.crons = 4
        host.start()
        began = time.time()
        shop.settle(SECONDS)
        scenario.figure(f"delivered {time.time() - began:.1f} s after the start of a host")
        assert shop.violations() == []


AHEAD = [
    "UPDATE kkt_receipt SET attempts = 7, next_attempt_at = now() AT TIME ZONE 'UTC' + interval '1 hour' WHERE state = 'pending'",
    "UPDATE kkt_ofd SET paused_until = now() AT TIME ZONE 'UTC' + interval '1 hour', pause_reason = 'the clock was wrong'",
    """UPDATE kkt_circuit_breaker SET state = 'open', version = version + 1, failure_count = 5,
           opened_at = now() AT TIME ZONE 'UTC' + interval '59 minutes',
           retry_at = now() AT TIME ZONE 'UTC' + interval '1 hour'""",
]
