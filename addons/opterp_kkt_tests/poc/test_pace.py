# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""An OFD that takes so many requests a second, or so many at once, gets no more from all hosts together."""

from harness.contest import set_number
from harness.hands import fiscal_administrator

TILLS = 4
NOTE_STARTS = """
    CREATE TABLE proof_start (start float8);
    CREATE FUNCTION proof_note_start() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO proof_start VALUES (NEW.next_start - %(interval)s);
        RETURN NULL;
    END $$;
    CREATE TRIGGER proof AFTER UPDATE ON kkt_ofd_pace FOR EACH ROW EXECUTE FUNCTION proof_note_start();
"""
STARTS = "SELECT start FROM proof_start ORDER BY start"


def open_tills(shop, **limits) -> list:
    """Tills of a shop with two hosts, whose OFD has limits."""
    hosts = [shop.host(crons=1), shop.host(crons=1)]
    tills = [shop.till(hosts[number % 2], number) for number in range(TILLS)]
    set_number(tills[0], "lanes", TILLS)
    admin = fiscal_administrator(hosts[0])
    [ofd] = admin.call("kkt.ofd", "search", [])
    admin.change("kkt.ofd", ofd, **limits)
    return tills


def test_requests_a_second(report, shop):
    with report.scenario("An OFD takes four requests a second: two hosts share them") as story:
        tills = open_tills(shop, requests_per_second=4)
        shop.database.execute(NOTE_STARTS % {"interval": 1 / 4})
        before = len(shop.ofd.history())
        for till in tills * 3:
            till.sell()
        shop.settle()
        starts = [row["start"] for row in shop.database.query(STARTS)]
        arrivals = sorted(request["arrived"] / 1000 for request in shop.ofd.history()[before:])
        assert len(arrivals) >= 3 * TILLS
        assert all(later - earlier > 0.249 for earlier, later in zip(starts, starts[1:], strict=False)), "0.25 s apart"
        assert len(starts) >= len(arrivals), "each request took a start"
        assert all(arrived >= start - 0.001 for arrived, start in zip(arrivals, starts, strict=False)), "none was too early"
        assert shop.violations() == []
        story.figure(f"{len(arrivals)} requests of two hosts, {len(starts)} starts, each 0.25 s after the one before")


def test_requests_at_once(report, shop):
    with report.scenario("An OFD takes one request at a time: two hosts share it") as story:
        tills = open_tills(shop, parallel_requests=1)
        shop.ofd.mode("slow", seconds=0.2)
        before = len(shop.ofd.history())
        for till in tills * 2:
            till.sell()
        shop.settle()
        requests = sorted(shop.ofd.history()[before:], key=lambda request: request["arrived"])
        assert len(requests) >= 2 * TILLS
        for one, next_one in zip(requests, requests[1:], strict=False):
            assert next_one["arrived"] >= one["answered"], "one at a time"
        assert shop.violations() == []
        story.figure(f"{len(requests)} requests of {TILLS} registers by two hosts, one after another")
