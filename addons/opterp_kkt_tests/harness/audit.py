# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What PostgreSQL itself noted: every change of the breaker, of a register's holder and of a receipt's state, in the
order in which row locks let them happen. The addon does not know of it.

The checks are pure functions over these notes, like those of `harness.judge`.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

from harness.judge import LEGAL, History
from harness.stack import Database

INSTALL = """
    CREATE TABLE nemesis_audit (
        seq bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(), backend int DEFAULT pg_backend_pid(),
        tx bigint DEFAULT txid_current(), relation text, before jsonb, row jsonb);
    CREATE FUNCTION nemesis_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO nemesis_audit (relation, before, row)
        VALUES (TG_TABLE_NAME, to_jsonb(OLD) - 'payload', to_jsonb(NEW) - 'payload');
        RETURN NULL;
    END $$;
    CREATE TRIGGER nemesis AFTER UPDATE ON kkt_circuit_breaker FOR EACH ROW EXECUTE FUNCTION nemesis_note();
    CREATE TRIGGER nemesis AFTER INSERT ON kkt_circuit_breaker_event FOR EACH ROW EXECUTE FUNCTION nemesis_note();
    CREATE TRIGGER nemesis AFTER UPDATE OF epoch ON kkt_delivery FOR EACH ROW EXECUTE FUNCTION nemesis_note();
    CREATE TRIGGER nemesis AFTER UPDATE OF state ON kkt_receipt FOR EACH ROW EXECUTE FUNCTION nemesis_note();
"""
READ = "SELECT seq, extract(epoch FROM at)::float8 AS at, backend, tx, relation, before, row FROM nemesis_audit ORDER BY seq"
BREAKER, EVENT, HOLDER, RECEIPT = "kkt_circuit_breaker", "kkt_circuit_breaker_event", "kkt_delivery", "kkt_receipt"

PERMIT = 60.0  # s that a probe's permit lasts at most

Notes = list[dict]


def install(database: Database):
    """Let PostgreSQL take notes from now on."""
    database.execute(INSTALL)


def read(database: Database) -> Notes:
    """Return the notes in order: `at` (s since 1970, the database's clock), the process id of the `backend` that wrote,
    the `relation`, its row `before` and after (`row`).
    """
    return database.query(READ)


def breaker_of(database: Database) -> dict[int, int]:
    """The breakers' ids by OFD."""
    return {row["id"]: row["breaker_id"] for row in database.query("SELECT id, breaker_id FROM kkt_ofd")}


def of(notes: Notes, relation: str) -> Notes:
    return [note for note in notes if note["relation"] == relation]


def is_claim(note: dict) -> bool:
    return note["relation"] == RECEIPT and note["row"]["state"] == "sending"


def is_record(note: dict) -> bool:
    return note["relation"] == RECEIPT and note["before"]["state"] == "sending" and note["row"]["state"] != "sending"


def breaker_moves_legally(notes: Notes) -> list[str]:
    """I7: the only transitions, each for its reason, each from the version before."""
    violations, resets = [], {note["tx"] for note in of(notes, EVENT) if note["row"]["reason"] == "reset"}
    for note in of(notes, BREAKER):
        before, row = note["before"], note["row"]
        move = f"{before['state']} → {row['state']} (version {row['version']})"
        if row["version"] != before["version"] + (_decided(row) != _decided(before) or row["version"] != before["version"]):
            violations.append(f"breaker: version {row['version']} follows {before['version']}")
        if before["state"] != row["state"] and note["tx"] not in resets and not _is_legal(note):
            violations.append(f"breaker: {move} is not allowed: {_told(before)}")
    return violations


def _is_legal(note: dict) -> bool:
    before, row = note["before"], note["row"]
    reasons = {
        ("closed", "open"): before["failure_count"] + 1 >= before["failure_threshold"],
        ("open", "half_open"): before["retry_at"] and not _lasts(before["retry_at"], note["at"], before["recovery_timeout"]),
        ("half_open", "open"): before["probe_owner"],
        ("half_open", "closed"): before["probe_owner"] and before["success_count"] + 1 >= before["success_threshold"],
    }
    assert set(reasons) == LEGAL
    return bool(reasons.get((before["state"], row["state"])))


def _decided(row: dict) -> list:
    """What only the machine changes; a person's change of the mode is two updates, of which one has the next version."""
    return [row[name] for name in ("state", "failure_count", "success_count", "retry_at", "probe_owner", "probe_until")]


def _lasts(until: str, at: float, longest: float) -> bool:
    """Whether a wait until then is on at that moment; one that is longer than it may be was stored by a clock that was wrong."""
    return 0 < _seconds(until) - at <= longest + 1


def _told(row: dict) -> str:
    names = ("failure_count", "success_count", "retry_at", "probe_owner")
    return ", ".join(f"{name} {row[name]}" for name in names)


def _seconds(text: str) -> float:
    """The moment of a column without a time zone, which is UTC, in s since 1970."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def one_probe_at_a_time(notes: Notes) -> list[str]:
    """I7: nobody becomes the probe while another's permit lasts and its outcome is not told."""
    return [
        f"breaker: {note['row']['probe_owner']} became the probe while {note['before']['probe_owner']} was"
        for note in of(notes, BREAKER)
        if note["row"]["probe_owner"] != note["before"]["probe_owner"]
        and note["row"]["probe_owner"]
        and note["before"]["probe_owner"]
        and _lasts(note["before"]["probe_until"], note["at"], PERMIT)
    ]


def claims_are_permitted(notes: Notes, breaker_of: dict[int, int]) -> list[str]:
    """I7: nothing is claimed for an OFD while its breaker is open; while that is half-open, by its probe only.

    `breaker_of` are the breakers' ids by OFD.
    """
    violations, breakers = [], {}
    for note in reversed(of(notes, BREAKER)):
        breakers[note["row"]["id"]] = note["before"]  # how it was before the first note
    for note in notes:
        if note["relation"] == BREAKER:
            breakers[note["row"]["id"]] = note["row"]
        elif is_claim(note):
            breaker = breakers.get(breaker_of.get(note["row"]["sent_to_id"]))
            if breaker and not _permits(breaker, note["row"]):
                how = breaker["state"] if breaker["mode"] == "automatic" else breaker["mode"]
                violations.append(f"{_words(note)} was claimed while the breaker was {how}")
    return violations


def _permits(breaker: dict, receipt: dict) -> bool:
    if breaker["mode"] != "automatic":
        return breaker["mode"] == "disabled"
    owner = f"/{receipt['register_id']}/{receipt['delivery_epoch']}"
    probes = breaker["state"] == "half_open" and (breaker["probe_owner"] or "").endswith(owner)
    return breaker["state"] == "closed" or probes


def records_are_fenced(notes: Notes) -> list[str]:
    """I4: only the holder of a register's newest epoch claims and records, and records what it claimed itself."""
    violations, epochs, claimed_by = [], {}, {}
    for note in notes:
        row, before = note["row"], note["before"]
        if note["relation"] == HOLDER:
            if row["epoch"] <= before["epoch"]:
                violations.append(f"epoch {row['epoch']} of register {row['register_id']} follows {before['epoch']}")
            epochs[row["register_id"]] = row["epoch"]
        elif is_claim(note) or is_record(note):
            epoch = epochs.get(row["register_id"], row["delivery_epoch"])
            if row["delivery_epoch"] != epoch:
                violations.append(f"{_words(note)} became {row['state']} by epoch {row['delivery_epoch']}, but {epoch} holds")
            if is_claim(note):
                claimed_by[row["id"]] = note["backend"]
            elif claimed_by.get(row["id"]) != note["backend"]:
                violations.append(f"{_words(note)} became {row['state']} by another session than the one that claimed it")
    return violations


def sent_as_claimed(notes: Notes, history: History) -> list[str]:
    """I4: the OFD gets a document at most as often as it was claimed, by the same epoch if it is told.

    A register elsewhere is sent a key that it may know to hear of it, and then another one; so only what it took anew counts.
    """
    told = {request["key"] for request in history if request["epoch"] is not None}
    claims = Counter(
        (key, note["row"]["delivery_epoch"] if key in told else None)
        for note in notes
        if is_claim(note) and (key := note["row"]["idempotency_key"])
    )
    sent = Counter(
        (request["key"], request["epoch"])
        for request in history
        if request["method"] == "POST"
        and (request["epoch"] is not None or request["outcome"] not in ("duplicate", "unauthorized"))
    )
    return [
        f"key {key} was sent {count} times by epoch {epoch}, which claimed it {claims[key, epoch]} times"
        for (key, epoch), count in sent.items()
        if count > claims[key, epoch]
    ]


def violations(notes: Notes, history: History, breaker_of: dict[int, int]) -> list[str]:
    return [
        *breaker_moves_legally(notes),
        *one_probe_at_a_time(notes),
        *claims_are_permitted(notes, breaker_of),
        *records_are_fenced(notes),
        *sent_as_claimed(notes, history),
    ]


def take_overs(notes: Notes) -> Iterator[tuple[float, float]]:
    """From when to when (s) a claimed document had lost its deliverer, or may have: from its claim to the next holder."""
    for claim, after in _claim_pairs(notes):
        taken = next(
            note["at"]
            for note in of(notes, HOLDER)
            if note["row"]["register_id"] == claim["row"]["register_id"] and note["row"]["epoch"] > claim["row"]["delivery_epoch"]
        )
        yield claim["at"], min(taken, after["at"])


def _claim_pairs(notes: Notes) -> Iterator[tuple[dict, dict]]:
    """A claim that nobody recorded, and the next holder's claim of the same document."""
    receipts: dict[int, Notes] = {}
    for note in of(notes, RECEIPT):
        receipts.setdefault(note["row"]["id"], []).append(note)
    for changes in receipts.values():
        yield from ((one, two) for one, two in pairwise(changes) if is_claim(one) and is_claim(two))


def _words(note: dict) -> str:
    row = note["row"]
    return f"FD {row['fd_number']} of register {row['fiscal_drive_number']} (key {row['idempotency_key']})"
