"""The statements of delivery. Each is one transaction, on the connection that holds the guard; times are PostgreSQL's alone.

A wait is stored as the moment when it ends. PostgreSQL's clock may be set back, so one that is longer than it can ever have
been is over.
"""

from ..core.fiscal_data import FiscalData
from .breaker_row import ASSIGNMENTS, COLUMNS, EVENT

NOW = "clock_timestamp() AT TIME ZONE 'UTC'"

# Whether the head h may be tried now, and whether the OFD o is not paused.
DUE = f"""(h.next_attempt_at IS NULL OR h.next_attempt_at <= {NOW} OR h.next_attempt_at > {NOW} + interval '1 second' * CASE
               WHEN h.last_outcome = 'processing' THEN %(longest_pause)s::float8 ELSE %(backoff_max)s::float8 END)"""
UNPAUSED = f"""(o.paused_until IS NULL OR o.paused_until <= {NOW}
                OR o.paused_until > {NOW} + interval '1 second' * %(longest_pause)s::float8)"""

# What the queue of register g begins with: what is claimed, then the lowest number. Two index look-ups, whatever waits.
HEAD = """
    SELECT id, state, create_date, next_attempt_at, claimed_at, in_doubt, sent_to_id, sent_version, attempts,
           failures, lone_failures, absent, last_outcome, last_status, last_error
      FROM (
        (SELECT * FROM kkt_receipt WHERE register_id = g.id AND state = 'sending' ORDER BY queue_number LIMIT 1)
         UNION ALL
        (SELECT * FROM kkt_receipt WHERE register_id = g.id AND state = 'pending' ORDER BY queue_number LIMIT 1)
      ) unfinished ORDER BY state = 'sending' DESC LIMIT 1
"""

# Where the head h of register g goes: a document in doubt is settled where it was sent, be it a former OFD of the register or
# a former address of its OFD; all else is sent to the register's OFD as it is now.
DESTINATION = """COALESCE(CASE WHEN h.in_doubt OR h.state = 'sending' THEN COALESCE(
        (SELECT f.id FROM kkt_ofd f WHERE f.former_of_id = h.sent_to_id AND f.former_version = h.sent_version), h.sent_to_id)
    END, g.ofd_id)"""

# The queues that have something to send, and what stands in their way. First come those that nobody looked after for longest,
# so that none starves; those whose last answer may have been about the OFD as a whole (misconfigured) come last, so that the
# others show whether it is the document.
SCAN = f"""
    SELECT g.id AS register_id, o.id AS ofd_id, o.protocol, o.url, o.credentials, o.on_refusal, o.settings_version,
           COALESCE(o.requests_per_second, 0) AS requests_per_second, COALESCE(o.parallel_requests, 0) AS parallel_requests,
           d.hold_reason IS NOT NULL AS held,
           CASE WHEN {DUE} THEN 0 ELSE extract(epoch FROM h.next_attempt_at - {NOW})::float8 END AS due_in,
           CASE WHEN {UNPAUSED} THEN 0 ELSE extract(epoch FROM o.paused_until - {NOW})::float8 END AS paused_for,
           extract(epoch FROM {NOW} - h.create_date)::float8 AS waited,
           COALESCE(h.last_outcome, '') = 'misconfigured' AS blamed,
           {COLUMNS}
      FROM kkt_register g
      JOIN kkt_delivery d ON d.register_id = g.id
     CROSS JOIN LATERAL ({HEAD}) h
      JOIN kkt_ofd o ON o.id = {DESTINATION}
      JOIN kkt_circuit_breaker b ON b.id = o.breaker_id
     WHERE %(registers)s::int[] IS NULL OR g.id = ANY(%(registers)s)
     ORDER BY COALESCE(h.last_outcome, '') = 'misconfigured', d.last_probe_at NULLS FIRST, d.held_at NULLS FIRST, g.id
"""

REGISTERS_OF_BREAKER = """
    SELECT g.id FROM kkt_register g JOIN kkt_ofd o ON o.id = g.ofd_id WHERE o.breaker_id = %s AND g.active
"""

COUNT_WAITING = "SELECT count(*) FROM kkt_receipt WHERE register_id = ANY(%s) AND state IN ('pending', 'sending')"

# One statement claims: the head of the queue, if it is due and goes to this OFD, the register is ours and not held, the OFD is
# not paused and as it was when its settings were read, and the breaker permits. The epoch needs no lock: it can't grow while
# this very connection holds the guard.
_PERMITTED = f"""owned AS (
        SELECT register_id FROM kkt_delivery
         WHERE register_id = %(register)s AND epoch = %(epoch)s AND (hold_reason IS NULL OR %(only_ask)s::bool)
    ), ofd AS (
        SELECT id, address_version FROM kkt_ofd o WHERE id = %(ofd)s AND settings_version = %(settings_version)s AND {UNPAUSED}
    )"""
_CLOSED = "b.id = %(breaker)s AND (b.mode = 'disabled' OR (b.mode = 'automatic' AND b.state = 'closed'))"
_CLAIM = f"""
    WITH head AS (
        SELECT h.id, h.state, h.claimed_at AS tried_at, g.ofd_id <> %(ofd)s AS elsewhere
          FROM kkt_register g CROSS JOIN LATERAL ({HEAD}) h
         WHERE g.id = %(register)s AND {DESTINATION} = %(ofd)s AND (%(at_once)s::bool OR {DUE})
    ), {_PERMITTED}"""
_CLAIMED = f"""
    UPDATE kkt_receipt r
       SET state = 'sending', in_doubt = COALESCE(r.in_doubt, FALSE) OR r.state = 'sending', sent_to_id = ofd.id,
           sent_version = ofd.address_version, delivery_epoch = %(epoch)s, claimed_at = {NOW}
      FROM head, owned, ofd, changed
     WHERE r.id = head.id AND r.state = head.state
 RETURNING r.id, r.queue_number, r.idempotency_key, r.protocol, r.payload, r.attempts, r.in_doubt, r.failures, r.lone_failures,
           r.failed_lookups, r.last_error, head.tried_at, head.elsewhere, COALESCE(r.numbers_follow, FALSE) AS numbers_follow,
           r.total, r.operation_type, COALESCE(r.ofd_document_id, '') AS ofd_id, CASE WHEN r.numbers_follow THEN
               (SELECT s.fiscal_drive_number FROM kkt_shift s WHERE s.id = r.shift_id) END AS fiscal_drive_number"""

# … with a breaker that is closed, or disabled. FOR SHARE waits for one that is about to open, so that nothing starts afterwards.
CLAIM = f"""{_CLAIM}, changed AS (
        SELECT b.id FROM kkt_circuit_breaker b WHERE {_CLOSED} FOR SHARE
    ){_CLAIMED}"""

# … as the probe of one that is half-open, which this makes it.
CLAIM_PROBE = f"""{_CLAIM}, changed AS (
        UPDATE kkt_circuit_breaker SET {ASSIGNMENTS}
         WHERE id = %(breaker)s AND version = %(seen)s
           AND EXISTS (SELECT FROM head) AND EXISTS (SELECT FROM owned) AND EXISTS (SELECT FROM ofd)
     RETURNING id
    ), event AS ({EVENT}
    ), rotated AS (
        UPDATE kkt_delivery SET last_probe_at = {NOW} FROM changed WHERE register_id = %(register)s
    ){_CLAIMED}"""

# A document that goes to a receiver of another protocol, which has never seen it, gets that one's envelope before it is sent.
CHANGE_ENVELOPE = """
    UPDATE kkt_receipt SET protocol = %(protocol)s, payload = %(payload)s
     WHERE id = %(receipt)s AND state = 'sending' AND delivery_epoch = %(epoch)s
 RETURNING id
"""

# The breaker as it is now, and whether the OFD's settings are still those that the document was sent by: an outcome of old
# settings changes no new ones.
SEE = f"""
    SELECT o.settings_version = %(settings_version)s AS fresh, {COLUMNS}
      FROM kkt_ofd o JOIN kkt_circuit_breaker b ON b.id = o.breaker_id WHERE o.id = %(ofd)s"""

# What the answer of a register elsewhere brings. What was numbered when it was issued never changes.
FISCAL_DATA = ", ".join(f"{name} = CASE WHEN r.numbers_follow THEN %({name})s ELSE r.{name} END" for name in FiscalData._fields)

# What is recorded, r, is found by its id: while an old snapshot lives anywhere, a backup's, the index of what is being sent
# has an entry of each document that ever was.
SENT = "r.id = %(receipt)s AND r.state || '' = 'sending' AND r.delivery_epoch = %(epoch)s"

# One statement records: only the owner of this epoch, only what is still being sent. It returns what SEE does. This one is for
# what was accepted at the first try, as nearly all is.
_ACCEPTED = f"""
    WITH done AS (
        UPDATE kkt_receipt r
           SET state = 'delivered', attempts = attempts + 1, delivered_at = {NOW},
               last_outcome = 'accepted', last_status = %(status)s::int, last_error = NULL,
               hlc_server_time = %(server_time)s, ofd_document_id = %(ofd_document_id)s, {FISCAL_DATA}
          FROM kkt_delivery d
         WHERE {SENT}
           AND d.register_id = %(register)s AND d.epoch = %(epoch)s
     RETURNING r.id, r.register_id
    )"""
RECORD_ACCEPTED = f"""{_ACCEPTED}{SEE} AND EXISTS (SELECT FROM done)"""

# While one document is under way, the one right behind it is claimed, so that it can follow at once: only what was never tried
# before, goes to the same OFD, and has nothing in its way. Its place in the queue is known, so that no look-up leads over what an
# old snapshot keeps of the documents that were delivered. What somebody has locked is not waited for: that is claimed when its
# time has come.
_FOLLOWING = f"""head AS (
        SELECT w.id, w.state, w.claimed_at AS tried_at, FALSE AS elsewhere
          FROM done JOIN kkt_register g ON g.id = done.register_id JOIN kkt_receipt w ON w.register_id = g.id
         WHERE w.queue_number = %(under_way)s::int + 1 AND w.state = 'pending'
           AND g.ofd_id = %(ofd)s AND w.last_outcome IS NULL AND w.sent_to_id IS NULL AND w.next_attempt_at IS NULL
           AND w.numbers_follow IS NOT TRUE
    ), {_PERMITTED}, changed AS (
        SELECT b.id FROM kkt_circuit_breaker b, kkt_receipt r, head
         WHERE {_CLOSED} AND r.id = head.id FOR SHARE OF b SKIP LOCKED FOR NO KEY UPDATE OF r SKIP LOCKED
    )"""
CLAIM_FOLLOWING = f"WITH done AS (SELECT %(register)s::int AS register_id), {_FOLLOWING}{_CLAIMED}"

# Whether what was claimed so may start now: still ours, and nothing has come in its way. It is read alone, so it costs no commit.
MAY_START = f"""
    WITH {_PERMITTED}
    SELECT r.id FROM kkt_receipt r JOIN kkt_register g ON g.id = r.register_id, owned, ofd, kkt_circuit_breaker b
     WHERE {_CLOSED} AND {SENT} AND g.ofd_id = ofd.id
"""

# … or is put back as it was, because it was not sent.
PUT_BACK = f"""
    UPDATE kkt_receipt r
       SET state = 'pending', sent_to_id = NULL, sent_version = NULL, claimed_at = NULL
      FROM kkt_delivery d
     WHERE {SENT} AND d.register_id = r.register_id AND d.epoch = %(epoch)s
"""

# One statement records what was accepted and claims the one behind that which is under way by now: one commit is what a document
# of a long queue costs, and the OFD works meanwhile. The claim reads from `done`: the one is settled before the other is claimed.
RECORD_ACCEPTED_AND_CLAIM = f"""{_ACCEPTED}, {_FOLLOWING}, claimed AS ({_CLAIMED}
    ) SELECT seen.*, claimed.* FROM ({SEE}) seen LEFT JOIN claimed ON TRUE WHERE EXISTS (SELECT FROM done)"""

# … and this one for any other outcome, with the attempt, and what it means for the register and the OFD.
#
# own      a failure is the document's own, not the OFD's, when another register's document was accepted there since the try
#          before (of a first try: of late). A register's newest settled document is the last one before its queue's head.
# streak   refusals in a row: from `refusal_streak` on, a person is asked instead of emptying the queue
RECORD = f"""
    WITH settings AS (
        SELECT settings_version = %(settings_version)s AS fresh FROM kkt_ofd WHERE id = %(ofd)s
    ), own AS (
        SELECT %(may_be_own)s::bool AND EXISTS (
               SELECT FROM kkt_register g CROSS JOIN LATERAL (
                      SELECT p.delivered_at FROM kkt_receipt p
                       WHERE p.register_id = g.id AND p.queue_number < COALESCE(
                             (SELECT min(w.queue_number) FROM kkt_receipt w
                               WHERE w.register_id = g.id AND w.state IN ('pending', 'sending')), 2147483647)
                       ORDER BY p.queue_number DESC LIMIT 1) passed
                WHERE g.ofd_id = %(ofd)s AND g.id <> %(register)s
                  AND passed.delivered_at > COALESCE(%(tried_at)s::timestamp, {NOW} - %(of_late)s::float8 * interval '1 second')
               ) AS failure
    ), done AS (
        UPDATE kkt_receipt r
           SET state = %(state)s::text, attempts = attempts + %(counted)s::int, in_doubt = %(in_doubt)s, absent = %(absent)s,
               sent_to_id = CASE WHEN %(forget)s::bool THEN NULL ELSE sent_to_id END,
               next_attempt_at = {NOW} + interval '1 second' * CASE
                   WHEN settings.fresh AND (%(pause)s::float8 IS NULL OR own.failure) THEN %(wait)s::float8 END,
               failures = CASE WHEN %(anew)s::bool THEN 0 ELSE failures + %(failed)s::int END,
               lone_failures = CASE WHEN %(anew)s::bool THEN 0 ELSE lone_failures + %(failed)s::int * own.failure::int END,
               failed_lookups = %(failed_lookups)s,
               last_outcome = %(outcome)s::text, last_status = %(status)s::int, last_error = %(error)s::text,
               delivered_at = CASE WHEN %(state)s::text = 'delivered' THEN {NOW} END,
               hlc_server_time = %(server_time)s, ofd_document_id = COALESCE(%(ofd_document_id)s, ofd_document_id), {FISCAL_DATA}
          FROM kkt_delivery d, settings, own
         WHERE {SENT}
           AND d.register_id = %(register)s AND d.epoch = %(epoch)s
     RETURNING r.id, r.queue_number
    ), attempt AS (
        INSERT INTO kkt_receipt_attempt
               (receipt_id, happened_at, outcome, looked_up, http_status, message, duration, holder, epoch)
        SELECT id, {NOW}, %(outcome)s::text, %(looked_up)s::bool, %(status)s::int, %(message)s::text, %(duration)s::float8,
               %(holder)s::text, %(epoch)s FROM done
    ), streak AS (
        SELECT done.id,
               COALESCE(CASE WHEN p.state = 'rejected' AND p.last_outcome = 'refused' THEN d.refusals END, 0) + 1 AS refusals
          FROM done JOIN kkt_delivery d ON d.register_id = %(register)s
          LEFT JOIN LATERAL (
               SELECT state, last_outcome FROM kkt_receipt
                WHERE register_id = %(register)s AND queue_number < done.queue_number
                ORDER BY queue_number DESC LIMIT 1) p ON TRUE
    ), verdict AS (
        SELECT id, refusals, COALESCE(%(hold_cause)s::text, CASE
                   WHEN %(outcome)s::text = 'refused' AND refusals >= %(refusal_streak)s::int THEN 'refusals' END) AS cause
          FROM streak
    ), register AS (
        UPDATE kkt_delivery d
           SET refusals = CASE WHEN %(outcome)s::text = 'refused' THEN verdict.refusals ELSE d.refusals END,
               hold_cause = COALESCE(cause, hold_cause),
               hold_reason = CASE WHEN cause IS NULL THEN hold_reason ELSE %(hold_reason)s::text END,
               hold_receipt_id = CASE WHEN cause IS NULL THEN hold_receipt_id ELSE verdict.id END
          FROM verdict
         WHERE d.register_id = %(register)s AND (cause IS NOT NULL OR %(outcome)s::text = 'refused')
    ), paused AS (
        UPDATE kkt_ofd o
           SET paused_until = {NOW} + %(pause)s::float8 * interval '1 second', pause_reason = %(message)s::text
          FROM done, settings, own
         WHERE o.id = %(ofd)s AND settings.fresh AND %(pause)s::float8 IS NOT NULL AND NOT own.failure
     RETURNING o.id
    ) SELECT seen.*, (SELECT cause FROM verdict) AS held_for, EXISTS (SELECT FROM paused) AS paused
        FROM ({SEE}) seen WHERE EXISTS (SELECT FROM done)"""
