import logging
import os
import random
import socket
import time
from configparser import ConfigParser
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from uuid import uuid4

from odoo import api, fields, models
from odoo.sql_db import connection_info_for
from odoo.tools import config

from ..core import breaker
from ..core.guard import Guard, GuardLost
from ..core.hold import Hold
from ..core.lease import Lease, LeaseLost, LeaseUnavailable, connect
from ..core.notifier import Notifier
from ..transports import Document, Endpoint, Outcome, open_transport
from . import kkt_circuit_breaker as breakers
from .big_integer import BigInteger

_logger = logging.getLogger(__name__)

CRONS = ('opterp_kkt.ir_cron_deliver_1', 'opterp_kkt.ir_cron_deliver_2')
NUMBERS = {  # ir.config_parameter opterp_kkt.<name>; seconds, but for the tries
    'request_timeout': 10.0,
    'lease_ttl': 30.0,
    'run_seconds': 50.0,
    'backoff_max': 60.0,
    'misconfigured_pause': 300.0,
    'poison_tries': 10.0,
}
TURN_SECONDS = 2.0   # that a run spends on one register before it looks at the others
NAP_SECONDS = 1.0    # between two looks at the queues
STAY_SECONDS = 60.0  # a run waits for what is due within this; a trigger of Odoo's crons is no finer than a minute
PASS_SECONDS = 20.0  # for one "Deliver now"
REDIS_PAUSE = 5.0    # before a missing Redis is asked again
CALL_SECONDS = 0.05  # from a commit to the call of the crons: the sale is answered first
_notifiers = {}      # by process: a child must not use what it inherits
START_SECONDS = 3.0  # that a server needs from the end of its loading until its crons listen

NOW = "clock_timestamp() AT TIME ZONE 'UTC'"

TRIGGER = "INSERT INTO ir_cron_trigger (cron_id, call_at) SELECT id, %(at)s FROM ir_cron WHERE active AND id = ANY(%(crons)s)"

# The registers that have something to send, and what stands in their way. Those that probed last come last.
SCAN = f"""
    SELECT g.id AS register_id, o.id AS ofd_id, o.protocol, o.url, o.secret, o.on_refusal, d.hold_reason,
           extract(epoch FROM h.next_attempt_at - {NOW})::float8 AS due_in,
           extract(epoch FROM o.paused_until - {NOW})::float8 AS paused_for,
           {breakers.COLUMNS}
      FROM kkt_register g
      JOIN kkt_delivery d ON d.register_id = g.id
      JOIN kkt_ofd o ON o.id = g.ofd_id
      JOIN kkt_circuit_breaker b ON b.id = o.breaker_id
     CROSS JOIN LATERAL (
           SELECT next_attempt_at FROM kkt_receipt r
            WHERE r.register_id = g.id AND r.state IN ('pending', 'sending') ORDER BY r.queue_number LIMIT 1) h
     WHERE o.active AND (%(registers)s IS NULL OR g.id = ANY(%(registers)s))
     ORDER BY d.last_probe_at NULLS FIRST, d.held_at NULLS FIRST
"""

# One statement claims: the head of the queue, if it is due, the register is ours and not held, the operator not paused and
# the breaker permits. FOR SHARE waits for a breaker that is about to open, so that nothing starts afterwards. The epoch needs
# no such lock: it can't grow while this very connection holds the guard.
CLAIM = f"""
    WITH head AS (
        SELECT * FROM (
            SELECT r.id, r.state, r.next_attempt_at, r.claimed_at AS tried_at FROM kkt_receipt r
             WHERE r.register_id = %(register)s AND r.state IN ('pending', 'sending') ORDER BY r.queue_number LIMIT 1) h
         WHERE %(at_once)s::bool OR next_attempt_at IS NULL OR next_attempt_at <= {NOW}
    ), turn AS (
        SELECT register_id FROM kkt_delivery
         WHERE register_id = %(register)s AND epoch = %(epoch)s AND hold_reason IS NULL
    ), ofd AS (
        SELECT id FROM kkt_ofd WHERE id = %(ofd)s AND active AND (paused_until IS NULL OR paused_until <= {NOW})
    ), {{permit}}
    UPDATE kkt_receipt r
       SET state = 'sending', in_doubt = COALESCE(r.in_doubt, FALSE) OR r.state = 'sending',
           delivery_epoch = %(epoch)s, claimed_at = {NOW}
      FROM head, turn, ofd, changed
     WHERE r.id = head.id AND r.state = head.state
 RETURNING r.id, r.idempotency_key, r.payload, r.attempts, r.in_doubt, r.lone_failures, r.last_error, head.tried_at
"""
CLOSED = """
    changed AS (
        SELECT id FROM kkt_circuit_breaker
         WHERE id = %(breaker)s AND (mode = 'disabled' OR (mode = 'automatic' AND state = 'closed')) FOR SHARE
    )
"""
PROBE = f"""
    changed AS (
        UPDATE kkt_circuit_breaker SET {breakers.ASSIGNMENTS}
         WHERE id = %(breaker)s AND version = %(seen)s
           AND EXISTS (SELECT FROM head) AND EXISTS (SELECT FROM turn) AND EXISTS (SELECT FROM ofd)
     RETURNING id
    ), event AS ({breakers.EVENT}
    ), rotated AS (
        UPDATE kkt_delivery SET last_probe_at = {NOW} FROM changed WHERE register_id = %(register)s
    )
"""

# One statement records: only the holder of this epoch, only what is still being sent.
RECORD = f"""
    WITH turn AS (
        SELECT register_id FROM kkt_delivery WHERE register_id = %(register)s AND epoch = %(epoch)s
    ), done AS (
        UPDATE kkt_receipt
           SET state = %(state)s::text, attempts = attempts + %(counted)s::int, in_doubt = %(in_doubt)s,
               next_attempt_at = {NOW} + %(wait)s::float8 * interval '1 second',
               last_outcome = %(outcome)s::text, last_error = %(error)s,
               delivered_at = CASE WHEN %(state)s::text = 'delivered' THEN {NOW} END,
               hlc_server_time = %(server_time)s, ofd_document_id = %(ofd_id)s{{count}}
          FROM turn
         WHERE id = %(receipt)s AND state = 'sending' AND delivery_epoch = %(epoch)s
     RETURNING id
    ){{more}}
    SELECT {breakers.COLUMNS} FROM done, kkt_circuit_breaker b WHERE b.id = %(breaker)s
"""
ATTEMPT = f"""
    , attempt AS (
        INSERT INTO kkt_receipt_attempt
               (receipt_id, happened_at, outcome, looked_up, http_status, message, duration, holder, epoch)
        SELECT id, {NOW}, %(outcome)s::text, %(looked_up)s::bool, %(status)s::int, %(message)s::text, %(duration)s::float8,
               %(holder)s::text, %(epoch)s FROM done
    )
"""
HELD = """
    , held AS (
        UPDATE kkt_delivery SET hold_reason = %(hold)s, hold_receipt_id = done.id FROM done WHERE register_id = %(register)s
    )
"""
# A failure counts against the document itself when the operator accepted another register's since the try before: only then
# was it no outage. The newest settled document of a register is the last one before its queue's head.
LONE = """
               , lone_failures = lone_failures + EXISTS (
                   SELECT FROM kkt_register g CROSS JOIN LATERAL (
                          SELECT p.delivered_at FROM kkt_receipt p
                           WHERE p.register_id = g.id AND p.queue_number < COALESCE(
                                 (SELECT min(w.queue_number) FROM kkt_receipt w
                                   WHERE w.register_id = g.id AND w.state IN ('pending', 'sending')), 2147483647)
                           ORDER BY p.queue_number DESC LIMIT 1) passed
                    WHERE g.ofd_id = %(ofd)s AND g.id <> %(register)s AND passed.delivered_at > %(tried_at)s::timestamp)::int
"""
ANEW = ", lone_failures = 0"
PAUSED = f"""
    , paused AS (
        UPDATE kkt_ofd SET paused_until = {NOW} + %(pause)s::float8 * interval '1 second', pause_reason = %(message)s::text
          FROM done WHERE kkt_ofd.id = %(ofd)s
    )
"""
VERDICTS = {
    Outcome.ACCEPTED: breaker.succeeded,
    Outcome.REFUSED: breaker.succeeded,
    Outcome.UNAVAILABLE: breaker.failed,
    Outcome.UNKNOWN: breaker.failed,
    Outcome.MISCONFIGURED: breaker.released,
    Outcome.THROTTLED: breaker.released,
    Outcome.ABSENT: breaker.released,
}
TOLD = (Outcome.REFUSED, Outcome.MISCONFIGURED, Outcome.ABSENT)  # somebody has to hear of these soon


class Fenced(Exception):
    """Another holder has a newer epoch: what we did may stand, but we can't record it."""


@dataclass
class Run:
    """What one process delivers with, and what came of it."""
    guard: Guard
    redis: object
    numbers: dict
    lease_prefix: str
    holder: str
    at_once: bool = False
    redis_again: float = 0.0
    transports: dict = field(default_factory=dict)
    delivered: int = 0
    rejected: int = 0
    news: bool = False
    busy: set = field(default_factory=set)

    def get_transport(self, row):
        if row['ofd_id'] not in self.transports:
            endpoint = Endpoint(row['url'], row['secret'] or "", self.numbers['request_timeout'])
            self.transports[row['ofd_id']] = open_transport(row['protocol'], endpoint)
        return self.transports[row['ofd_id']]

    def get_lease(self, register_id):
        """The lease to ask for; None while Redis is missing."""
        if self.redis is None or monotonic() < self.redis_again:
            return None
        return Lease(self.redis, f"{self.lease_prefix}:{register_id}", self.holder, self.numbers['lease_ttl'])

    def close(self):
        for transport in self.transports.values():
            transport.close()
        self.guard.close()


@dataclass(frozen=True)
class Claim:
    """A document that is being sent."""
    id: int
    idempotency_key: str
    payload: str
    attempts: int
    in_doubt: bool
    lone_failures: int
    last_error: str | None
    tried_at: datetime | None


class KktDelivery(models.Model):
    """Delivers the documents of one register: claim, commit, send, record.

        cron, "Deliver now", CLI ──> scan: which registers have something due?
            └─ hold: guard, lease, epoch           at most one deliverer per register, in every process on every host
                 └─ _claim    one UPDATE; its permit comes from the breaker in the same statement
                    _send     the network; no transaction is open and no row is locked
                    _record   one UPDATE, by this epoch only; then the outcome goes to the breaker

    All statements run on the guard's own connection, each in its own transaction, so that a process that lost the guard
    can't write either. A document that a dead process left in `sending` is claimed again by the next holder, which asks
    the operator for it before it sends the same bytes under the same key again.

    The model's rows are what delivery writes about a register. They stand apart from the register's own row, which only
    sales write, so that delivery never makes a sale wait.
    """
    _name = 'kkt.delivery'
    _description = "Delivery of a Register's Documents"
    _rec_name = 'register_id'
    _log_access = False

    register_id = fields.Many2one('kkt.register', required=True, ondelete='cascade', readonly=True)
    company_id = fields.Many2one(related='register_id.company_id')
    epoch = BigInteger(readonly=True, default=0, required=True, help="Number of the holder: grows with each.")
    holder = fields.Char(readonly=True, help="Host, process and run that delivered last.")
    held_at = fields.Datetime("Held Since", readonly=True)
    lease_missing = fields.Boolean("Redis Is Missing", readonly=True)
    hold_reason = fields.Text("Held Because", readonly=True)
    hold_receipt_id = fields.Many2one('kkt.receipt', "Held for", readonly=True)
    last_probe_at = fields.Datetime("Last Probe", readonly=True)

    _register_uniq = models.Constraint('unique (register_id)', "A register has one delivery.")

    def _register_hook(self):
        """Have a server that starts look at what waits at once: its crons would look in a minute.

        Odoo starts its crons, and their ear for wake-ups, only after this: they are called once more a moment later.
        """
        super()._register_hook()
        cr = self.env.cr  # no other one: it would wait for the tables that an upgrade in this transaction has locked
        cr.execute("SELECT 1 FROM kkt_receipt WHERE state IN ('pending', 'sending') LIMIT 1")
        if cr.rowcount:
            self._wake()
            _call_crons_in(START_SECONDS, cr.dbname)

    # -- who calls ---------------------------------------------------------------------------------------------------------

    @api.model
    def _wake(self, at=None):
        """Have the crons deliver once this transaction is committed, or at a moment.

        Like `ir.cron._trigger`, at a fraction of its cost: that is called for each cron, reads and creates records, and opens
        connections before a sale is answered.
        """
        find = self.env['ir.model.data']._xmlid_to_res_id
        self.env.cr.execute(TRIGGER, {'crons': [find(xmlid) for xmlid in CRONS], 'at': at or fields.Datetime.now()})
        if self.env.cr.rowcount and not at:
            self.env.cr.postcommit.add(partial(_call_crons_in, CALL_SECONDS, self.env.cr.dbname))

    @api.model
    def _cron_deliver(self):
        """Deliver what is due on all registers, and stay while something will be due within a minute."""
        settings = self._get_settings()
        # A run that is cut short here was killed, it did not hang: after three of those Odoo would skip the next one.
        self.env['ir.cron.progress'].browse(self.env.context.get('ir_cron_progress_id', [])).timed_out_counter = 0
        self.env.cr.commit()  # no network call while this transaction is open
        settled, due_in = self._deliver_for(settings)
        if due_in is not None:
            self._wake(fields.Datetime.now() + timedelta(seconds=due_in) if due_in > STAY_SECONDS else None)
        self.env['ir.cron']._commit_progress(settled)

    @api.model
    def _deliver_for(self, settings):
        """Look at the queues again and again. Return how many documents were settled, and when the next is due."""
        until, settled, due_in = monotonic() + settings['numbers']['run_seconds'], 0, 0.0
        while due_in is not None and due_in <= STAY_SECONDS and monotonic() < until:
            try:
                with _open_run(settings) as run:
                    due_in = self._watch(run, until)
                    settled += run.delivered + run.rejected
            except GuardLost as error:
                _logger.warning("The guard was lost, all registers are let go and taken anew: %s", error)
                time.sleep(NAP_SECONDS)
        return settled, due_in

    @api.model
    def _watch(self, run, until):
        while True:
            settled = run.delivered + run.rejected
            due_in = self._pass(run, until)
            self._tell(run)
            if due_in is None or due_in > STAY_SECONDS or monotonic() >= until:
                return due_in
            if run.delivered + run.rejected == settled:
                time.sleep(min(max(due_in, 0.05), NAP_SECONDS))

    @api.model
    def _tell(self, run):
        """Have somebody hear of what was rejected or held: now, not when the run ends."""
        if run.news:
            with self.pool.cursor() as cr:  # this run's own transaction may be dead: it has outlived a restart of PostgreSQL
                self.env['kkt.watch'].with_env(self.env(cr=cr))._wake()
            run.news = False

    @api.model
    def _deliver_now(self, registers):
        """One pass for some registers, see `kkt.register.action_deliver`."""
        settings = self._get_settings()
        self.env.cr.commit()  # no network call while this transaction is open
        with _open_run(settings, at_once=True) as run:
            until = monotonic() + PASS_SECONDS
            for row in self._scan(run, registers.ids):
                if not row['hold_reason']:
                    self._deliver_register(run, row, until)
            [waiting] = run.guard.execute(
                "SELECT count(*) FROM kkt_receipt WHERE register_id = ANY(%s) AND state IN ('pending', 'sending')",
                [registers.ids])
        self._tell(run)
        return {
            'delivered': run.delivered, 'rejected': run.rejected, 'waiting': waiting['count'], 'busy': sorted(run.busy)}

    def _get_hold_reason(self):
        """What a person is told, in that person's language; stored are only the operator's words."""
        if self.hold_receipt_id.last_outcome != 'absent':
            return self.hold_reason
        return self.env._(
            "The operator does not accept one document of this register, and says that it does not have it: its tries failed"
            " although documents of other registers passed in between. The last answer was: %(answer)s. Ask the operator what is"
            " wrong with the document. Then let the register go on, which tries it again, or mark the document as handled, which"
            " sends the rest without it.", answer=self.hold_reason)

    def _release(self):
        """Let held registers go on."""
        self.write({'hold_reason': False, 'hold_receipt_id': False})
        self._wake()

    # -- one pass ----------------------------------------------------------------------------------------------------------

    @api.model
    def _pass(self, run, until):
        """Deliver what is due. Return the seconds until the next thing is, None when nothing waits."""
        waits = []
        for row in self._scan(run):
            wait = self._get_wait(row)
            waits.append(wait if wait != 0 else self._take_turn(run, row, until))
        return min((wait for wait in waits if wait is not None), default=None)

    @api.model
    def _take_turn(self, run, row, until):
        """Deliver for one register for a while. What goes wrong with it is not the other registers' trouble."""
        try:
            return self._deliver_register(run, row, min(until, monotonic() + TURN_SECONDS))
        except GuardLost:
            raise
        except Exception:
            _logger.exception("Delivery for register %s failed", row['register_id'])
            return NAP_SECONDS

    @api.model
    def _scan(self, run, register_ids=None):
        return run.guard.execute(SCAN, {'registers': register_ids})

    @api.model
    def _get_wait(self, row):
        """Seconds until a register's head is due; None when only a person can tell."""
        permitted_in = breaker.retry_after(breakers.from_row(row), row['now'])
        if row['hold_reason'] or permitted_in is None:
            return None
        return max(0, row['due_in'] or 0, row['paused_for'] or 0, permitted_in)

    @api.model
    def _deliver_register(self, run, row, until):
        """Deliver the queue of one register as far as it goes. Return the seconds until it is worth another look."""
        hold = Hold(run.guard, run.get_lease(row['register_id']), row['register_id'], run.holder)
        if not hold.take():
            run.busy.add(row['register_id'])
            return NAP_SECONDS
        settled = run.delivered + run.rejected
        try:
            while monotonic() < until and self._deliver_next(run, hold, row):
                pass
            return 0 if run.delivered + run.rejected > settled else NAP_SECONDS
        except (Fenced, LeaseLost) as error:
            _logger.warning("Register %s was taken over: %r", row['register_id'], error)
            run.busy.add(row['register_id'])
            return NAP_SECONDS
        finally:
            if hold.lease is None:
                run.redis_again = max(run.redis_again, monotonic() + REDIS_PAUSE)
            with suppress(GuardLost):
                hold.release()

    @api.model
    def _deliver_next(self, run, hold, row):
        """Claim, send and record one document; False when the queue is empty or has to wait."""
        hold.keep(2 * run.numbers['request_timeout'] + 2)
        claim = self._claim(run, hold, row)
        if not claim:
            return False
        answer, looked_up = self._send(run, hold, row, claim)
        row.update(self._record(run, hold, row, claim, answer, looked_up))
        # What fails alone says nothing about the operator, so a bad document doesn't cut off the other registers.
        alone = answer.outcome is Outcome.UNKNOWN and claim.lone_failures
        decide = breaker.released if alone else VERDICTS[answer.outcome]
        self.env['kkt.circuit.breaker']._report(hold.guard, row, decide, _owner(hold))
        run.delivered += answer.outcome is Outcome.ACCEPTED
        run.rejected += answer.outcome is Outcome.REFUSED
        run.news |= answer.outcome in TOLD
        return answer.outcome in (Outcome.ACCEPTED, Outcome.REFUSED)

    # -- claim, send, record -----------------------------------------------------------------------------------------------

    @api.model
    def _claim(self, run, hold, row):
        """Take the head of the queue for sending, with the breaker's permit; None when there is nothing to take."""
        old = breakers.from_row(row)
        new = breaker.permit(old, row['now'], _owner(hold), 2 * run.numbers['request_timeout'] + 5)
        if new is None:
            return None
        parameters = {
            'register': hold.register_id, 'epoch': hold.epoch, 'ofd': row['ofd_id'], 'breaker': row['id'],
            'at_once': run.at_once,
        }
        if new is not old:
            moved = breaker.transition(old, new)
            parameters.update(breakers.to_parameters(old, new, moved and moved.reason, _owner(hold)))
        claimed = hold.guard.run(CLAIM.format(permit=CLOSED if new is old else PROBE), parameters)
        return Claim(**claimed[0]) if claimed else None

    @api.model
    def _send(self, run, hold, row, claim):
        """Send a document. If it may have arrived before, ask for it first; both together are one outcome.

        A document that failed too often while others passed is only asked for: if the operator doesn't have it, it is not sent
        again, and the answer is `ABSENT`.

        :return: the answer, and what the operator said when it was asked first, None when it was not
        """
        transport = run.get_transport(row)
        asked = None
        if claim.in_doubt:
            answer = transport.lookup(claim.idempotency_key)
            asked = answer.outcome
            if asked is not Outcome.ABSENT or claim.lone_failures >= run.numbers['poison_tries']:
                return answer, asked
        return transport.send(Document(claim.idempotency_key, claim.payload, hold.epoch)), asked

    @api.model
    def _record(self, run, hold, row, claim, answer, looked_up):
        """Write down what came of a document.

        :return: the breaker as it is now
        :raises Fenced: somebody else delivers for this register
        """
        values = self._get_outcome_values(run, row, claim, answer)
        plain = answer.outcome is Outcome.ACCEPTED and not claim.attempts and not claim.in_doubt
        more = "" if plain else ATTEMPT
        more += HELD if values['hold'] else ""
        more += PAUSED if values['pause'] else ""
        recorded = hold.guard.run(RECORD.format(count=_count(answer, looked_up), more=more), {
            **values, 'tried_at': claim.tried_at,
            'receipt': claim.id, 'register': hold.register_id, 'epoch': hold.epoch, 'holder': hold.holder,
            'ofd': row['ofd_id'], 'breaker': row['id'],
            'outcome': answer.outcome.value, 'message': answer.message or None, 'status': answer.http_status,
            'looked_up': bool(looked_up), 'duration': answer.duration,
        })
        if not recorded:
            raise Fenced(f"epoch {hold.epoch} of register {hold.register_id} is over")
        return recorded[0]

    @api.model
    def _get_outcome_values(self, run, row, claim, answer):
        """What one outcome means for the document, its register and its operator (DESIGN: outcome of one attempt)."""
        outcome = answer.outcome
        values = {
            'state': 'pending', 'counted': 1, 'in_doubt': claim.in_doubt, 'wait': None, 'error': answer.message or None,
            'server_time': None, 'ofd_id': None, 'hold': None, 'pause': None,
        }
        if outcome is Outcome.ACCEPTED:
            values |= {'state': 'delivered', 'in_doubt': False, 'error': None,
                       'server_time': answer.server_time, 'ofd_id': answer.ofd_id or None}
        elif outcome is Outcome.REFUSED:
            values |= {'state': 'rejected', 'in_doubt': False}
            if answer.conflict or row['on_refusal'] == 'hold':
                values['hold'] = answer.message
        elif outcome is Outcome.MISCONFIGURED:
            values |= {'counted': 0, 'pause': run.numbers['misconfigured_pause']}
        elif outcome is Outcome.THROTTLED:
            values |= {'counted': 0, 'pause': answer.retry_after}
        elif outcome is Outcome.ABSENT:
            values |= {'counted': 0, 'in_doubt': False, 'error': claim.last_error, 'hold': claim.last_error or outcome.value}
        else:
            ceiling = min(run.numbers['backoff_max'], 2.0 ** min(claim.attempts, 30))
            values |= {'in_doubt': claim.in_doubt or outcome is Outcome.UNKNOWN, 'wait': random.uniform(0, ceiling)}
        return values

    # -- settings ----------------------------------------------------------------------------------------------------------

    @api.model
    def _get_settings(self):
        """What a run needs, read before it starts: it leaves this transaction alone."""
        return {
            'dsn': connection_info_for(self.env.cr.dbname)[1],
            'redis_url': _get_redis_url(),
            'numbers': {name: self._get_number(name) for name in NUMBERS},
            'database': f"{self.env.cr.dbname}:{self.env['ir.config_parameter'].sudo().get_param('database.uuid')}",
        }

    @api.model
    def _get_number(self, name):
        """A number of `NUMBERS`, from `ir.config_parameter` `opterp_kkt.<name>`."""
        text = self.env['ir.config_parameter'].sudo().get_param(f'opterp_kkt.{name}')
        with suppress(TypeError, ValueError):
            return float(text) if float(text) > 0 else NUMBERS[name]
        return NUMBERS[name]


def _count(answer, looked_up):
    """How an outcome changes the number of failures that are the document's own: the try before left nothing behind."""
    if answer.outcome is Outcome.ABSENT:
        return ANEW
    return LONE if answer.outcome is Outcome.UNKNOWN and looked_up is Outcome.ABSENT else ""


def _owner(hold):
    """Names one hold of one register, for the breaker."""
    return f"{hold.holder}/{hold.register_id}/{hold.epoch}"


def _call_crons_in(seconds, dbname):
    """Wake the crons without this transaction, and without Odoo's pool, which keeps no connection to `postgres`."""
    notifier = _notifiers.get(os.getpid())
    if notifier is None:
        notifier = _notifiers.setdefault(os.getpid(), Notifier(connection_info_for('postgres')[1]))
    notifier.call_in(seconds, dbname)


def _get_redis_url():
    """Redis is infrastructure: environment, else section [opterp_kkt] of Odoo's configuration file, else the default."""
    parser = ConfigParser(interpolation=None)
    parser.read(config['config'] or [])
    return (
        os.environ.get('ODOO_KKT_REDIS_URL')
        or parser.get('opterp_kkt', 'redis_url', fallback=None)
        or 'redis://localhost:6379/0')


@contextmanager
def _open_run(settings, at_once=False):
    run = Run(
        guard=Guard(settings['dsn']),
        redis=_connect_redis(settings['redis_url']),
        numbers=settings['numbers'],
        lease_prefix=f"kkt:{settings['database']}:register",
        holder=f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}",
        at_once=at_once,
    )
    try:
        yield run
    finally:
        run.close()


def _connect_redis(url):
    try:
        return connect(url)
    except LeaseUnavailable as error:
        _logger.warning("%s", error)
        return None
