import logging
import os
import time
from configparser import ConfigParser
from contextlib import contextmanager, suppress
from functools import partial
from threading import Timer
from time import monotonic

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.service import server as service
from odoo.sql_db import connection_info_for, db_connect
from odoo.tools import config

from ..delivery.guard import Guard
from ..delivery.lanes import STAY_SECONDS, Lanes
from ..delivery.news import News
from ..delivery.notifier import Notifier
from ..delivery.session import SessionLost
from ..delivery.settings import Settings, longest_waits
from ..delivery.worker import NAP_SECONDS, Worker
from .big_integer import BigInteger

_logger = logging.getLogger(__name__)

HOLD_CAUSES = [
    ('refused', "A refusal"),
    ('refusals', "Several refusals in a row"),
    ('conflict', "A key that is known with other bytes"),
    ('mismatch', "An acknowledgement that does not fit the document"),
    ('envelope', "A document that the OFD's protocol can't state"),
    ('failing', "A document that fails while others pass"),
    ('by_hand', "A person"),
]
NUMBERS = (  # of `Settings`, from ir.config_parameter `opterp_kkt.<name>`
    'request_timeout',
    'lease_ttl',
    'run_seconds',
    'backoff_max',
    'misconfigured_pause',
    'poison_tries',
    'refusal_streak',
    'lanes',
)
INFRASTRUCTURE = {'redis_url': 'redis://localhost:6379/0', 'metrics_token': None}
CALL_SECONDS = 0.05  # from a commit to the call of the crons: the sale is answered first
START_SECONDS = 3.0  # that a server needs from the end of its loading until its crons listen
_notifiers = {}  # by process: a child must not use what it inherits
_left_to_a_worker = set()  # databases whose crons are called once a worker is there

# The delivery crons are all that do this, however many, whoever made them. A trigger's time is PostgreSQL's: a host's clock may
# be wrong. One that is just being deleted is passed over: nobody waits for an administrator.
CRONS = """
    SELECT c.id FROM ir_cron c
      JOIN ir_act_server a ON a.id = c.ir_actions_server_id AND a.code = 'model._cron_deliver()'
      JOIN ir_model m ON m.id = a.model_id AND m.model = 'kkt.delivery'
     WHERE c.active
"""
TRIGGER = f"""
    INSERT INTO ir_cron_trigger (cron_id, call_at)
    SELECT id, clock_timestamp() AT TIME ZONE 'UTC' + %(seconds)s * interval '1 second'
      FROM ({CRONS} FOR KEY SHARE OF c SKIP LOCKED) crons
"""
# What lies further ahead than twice a cron's own interval is from before PostgreSQL's clock was set back.
MEND_CALLS = """
    UPDATE ir_cron SET nextcall = now() AT TIME ZONE 'UTC'
     WHERE id IN (SELECT c.id FROM ir_cron c
                    JOIN ir_act_server a ON a.id = c.ir_actions_server_id
                    JOIN ir_model m ON m.id = a.model_id AND m.model IN ('kkt.delivery', 'kkt.watch')
                   WHERE c.active AND c.nextcall > now() AT TIME ZONE 'UTC'
                                                 + 2 * (c.interval_number || ' ' || c.interval_type)::interval
                     FOR NO KEY UPDATE OF c SKIP LOCKED)
"""
FORGET_WAITS = """
    UPDATE kkt_receipt r SET next_attempt_at = NULL
      FROM kkt_register g
     WHERE g.id = r.register_id AND r.state = 'pending' AND r.next_attempt_at IS NOT NULL
       AND (g.ofd_id = ANY(%(ofds)s) OR r.sent_to_id = ANY(%(ofds)s))
"""


class KktDelivery(models.Model):
    """How the documents of one register are delivered: who does it now, or why nobody may.

        cron ──> `delivery/lanes.py` ──┐
        "Deliver now", CLI ─────────┴─> `delivery/worker.py`: scan, own, claim, send, record

    The rows are what delivery writes about a register. They stand apart from the register's own row, which only sales write,
    so that delivery never makes a sale wait. A register that is held stands still until a person lets it go on: each hold has
    its cause, the words of what happened, and mostly a document.
    """

    _name = 'kkt.delivery'
    _description = "Delivery of a Register's Documents"
    _rec_name = 'register_id'
    _log_access = False

    register_id = fields.Many2one('kkt.register', required=True, ondelete='cascade', readonly=True)
    company_id = fields.Many2one(related='register_id.company_id')
    epoch = BigInteger(readonly=True, default=0, required=True, help="Number of the owner: grows with each.")
    holder = fields.Char(readonly=True, help="Host, process and run that delivered last.")
    held_at = fields.Datetime("Owned Since", readonly=True)
    lease_missing = fields.Boolean("Redis Is Missing", readonly=True)
    hold_cause = fields.Selection(HOLD_CAUSES, readonly=True)
    hold_reason = fields.Text("Held Because", readonly=True)
    hold_receipt_id = fields.Many2one('kkt.receipt', "Held for", readonly=True)
    refusals = fields.Integer("Refusals in a Row", readonly=True, default=0, required=True)
    last_probe_at = fields.Datetime("Last Probe", readonly=True)

    _register_uniq = models.Constraint('unique (register_id)', "A register has one delivery.")
    _held = models.Constraint(
        "CHECK (hold_reason <> '' AND (hold_reason IS NULL) = (hold_cause IS NULL))", "A hold has its cause and its reason."
    )

    def _register_hook(self):
        """Have a server that starts look at what waits at once: its crons would look in a minute.

        Odoo starts its crons, and what listens for their calls, only after this: they are called once more a moment later.
        """
        super()._register_hook()
        cr = self.env.cr  # no other one: it would wait for the tables that an upgrade in this transaction has locked
        cr.execute("SELECT 1 FROM kkt_receipt WHERE state IN ('pending', 'sending') LIMIT 1")
        if cr.rowcount:
            self._wake()
            _call_crons(cr.dbname, START_SECONDS)

    # -- who calls ---------------------------------------------------------------------------------------------------------

    @api.model
    def _wake(self, seconds=0):
        """Have the crons deliver once this transaction is committed, or some seconds later.

        What `ir.cron._trigger` does, after the commit and from a thread: no sale waits for it. Were this process killed between
        the two, the crons would still look by themselves, in a minute.
        """
        if seconds:
            self.env.cr.execute(TRIGGER, {'seconds': seconds})
        else:
            self.env.cr.postcommit.add(partial(_call_crons, self.env.cr.dbname))

    @api.model
    def _get_crons(self):
        """The crons that deliver, for whoever looks after them."""
        self.env.cr.execute(CRONS)
        return self.env['ir.cron'].browse(cron_id for [cron_id] in self.env.cr.fetchall())

    @api.model
    def _cron_deliver(self):
        """Deliver what is due on all registers, and stay while something will be due within a minute."""
        settings = self._get_settings()
        # A run that is cut short here was killed, it did not hang: after three of those Odoo would skip the next one.
        self.env['ir.cron.progress'].browse(self.env.context.get('ir_cron_progress_id', [])).timed_out_counter = 0
        self.env.cr.execute(MEND_CALLS)
        self.env.cr.commit()  # no network call while this transaction is open  # pylint: disable=invalid-commit
        settled, due_in = self._deliver_for(settings)
        if due_in is not None:
            self._wake(due_in if due_in > STAY_SECONDS else 0)
        self.env['ir.cron']._commit_progress(settled)

    @api.model
    def _deliver_for(self, settings):
        """Deliver for as long as a run may take. Return how many documents were settled, and in how many seconds one is due."""
        until, settled, due_in = monotonic() + settings.run_seconds, 0, 0.0
        while due_in is not None and due_in <= STAY_SECONDS and monotonic() < until:
            try:
                with self._open_lanes(settings) as lanes:
                    due_in = lanes.run(until)
                settled += lanes.settled
            except SessionLost as error:
                _logger.warning("The guard was lost, all registers are let go and taken anew: %s", error)
                time.sleep(NAP_SECONDS)
        return settled, due_in

    @api.model
    def _deliver_now(self, registers):
        """One pass for some registers, see `kkt.register.action_deliver`."""
        with self._open_worker_for_a_person(at_once=True) as worker:
            waiting = worker.make_one_pass(registers.ids)
        return {
            'delivered': worker.tally.delivered,
            'rejected': worker.tally.rejected,
            'waiting': waiting,
            'busy': sorted(worker.tally.busy),
        }

    @api.model
    def _open_lanes(self, settings):
        return Lanes(partial(self._open_worker, settings), self._get_news(), max(1, int(settings.lanes)))

    @api.model
    def _open_worker(self, settings, news, at_once=False):
        """A worker with a guard of its own. Lanes call this in threads of theirs: nothing here may touch `env`."""
        return Worker(settings, Guard(settings.dsn), news, at_once)

    @api.model
    def _get_news(self):
        return News(self._wake_watch, self._tell_tills)

    @contextmanager
    def _open_worker_for_a_person(self, at_once=False):
        """A worker that somebody waits for. Commits: no transaction is open while it is at work."""
        settings = self._get_settings()
        self.env.cr.commit()  # no network call while this transaction is open  # pylint: disable=invalid-commit
        try:
            with self._open_worker(settings, self._get_news(), at_once) as worker:
                yield worker
        except SessionLost as error:
            raise UserError(
                self.env._(
                    "PostgreSQL ended the connection in the middle of this. What was under way is settled by itself: nothing is"
                    " lost and nothing sent twice. Try again in a moment."
                )
            ) from error

    @api.model
    def _wake_watch(self):
        """Have the watch look: something was rejected or held."""
        with self.pool.cursor() as cr:  # this run's own transaction may be dead: it has outlived a restart of PostgreSQL
            self.env['kkt.watch'].with_env(self.env(cr=cr))._wake()

    @api.model
    def _tell_tills(self, register_ids):
        """Have the open tills of these registers look: something that they show has changed."""
        with self.pool.cursor() as cr:
            self.env['kkt.register'].with_env(self.env(cr=cr)).sudo().browse(register_ids)._tell_tills()

    # -- holds -------------------------------------------------------------------------------------------------------------

    def _hold(self, receipt, reason):
        """Let nothing of a register be sent until a person releases it. What is under way is still recorded."""
        self.write({'hold_cause': 'by_hand', 'hold_reason': reason, 'hold_receipt_id': receipt.id})
        self.register_id._tell_tills()

    def _release(self):
        """Let held registers go on; what they were held for is counted anew."""
        self.hold_receipt_id.filtered(lambda receipt: receipt.state == 'pending').write(
            {'failures': 0, 'lone_failures': 0, 'failed_lookups': 0}
        )
        self.refusals = 0
        self._end_hold()

    def _end_hold(self):
        self.write({'hold_cause': False, 'hold_reason': False, 'hold_receipt_id': False})
        self.register_id._tell_tills()
        self._wake()

    @api.model
    def _forget_waits(self, ofds):
        """Have what waits for these OFDs tried at once: whoever changed how they are reached wants to see it."""
        self.env['kkt.receipt'].flush_model(['state', 'next_attempt_at'])
        self.env.cr.execute(FORGET_WAITS, {'ofds': ofds.ids})
        self.env['kkt.receipt'].invalidate_model(['next_attempt_at'])
        self._wake()

    def _ask(self):
        """Ask the OFD for the head of this register's queue, and record its answer. Commits."""
        with self._open_worker_for_a_person() as worker:
            worker.ask(self.register_id.id)
        self.env.invalidate_all()

    # -- settings ----------------------------------------------------------------------------------------------------------

    @api.model
    def _get_settings(self):
        """What a worker is given, read before it starts: it leaves this transaction alone."""
        database = self.env['ir.config_parameter'].sudo().get_param('database.uuid')
        return Settings(
            dsn=connection_info_for(self.env.cr.dbname)[1],
            redis_url=_get_infrastructure('redis_url'),
            lease_prefix=f"kkt:{self.env.cr.dbname}:{database}:register",
            **{name: self._get_number(name) for name in NUMBERS},
        )

    @api.model
    def _get_longest_waits(self):
        """For whoever only looks: each till does once a minute, so Odoo's configuration file is left alone."""
        return longest_waits(self._get_number('backoff_max'), self._get_number('misconfigured_pause'))

    @api.model
    def _get_number(self, name):
        """A number of `NUMBERS`, from `ir.config_parameter` `opterp_kkt.<name>`; what is no positive number is not heeded."""
        text = self.env['ir.config_parameter'].sudo().get_param(f'opterp_kkt.{name}')
        with suppress(TypeError, ValueError):
            if 0 < float(text) < float('inf'):
                return float(text)
        return getattr(Settings, name)


def _call_crons(dbname, seconds=0):
    """Wake the crons, at once or in some seconds, without this transaction, and without Odoo's pool, which keeps no connection
    to `postgres`.
    """
    if _forks_workers():
        _left_to_a_worker.add(dbname)
    elif seconds:
        timer = Timer(seconds, _call_crons, [dbname])
        timer.daemon = True
        timer.start()
    else:
        _get_notifier().call(dbname)


def _get_notifier():
    with suppress(KeyError):
        return _notifiers[os.getpid()]
    return _notifiers.setdefault(os.getpid(), Notifier(connection_info_for('postgres')[1], _make_due, CALL_SECONDS))


def _forks_workers():
    """Whether this is the process of a server with workers that forks them, at its start and whenever one has ended.

    It has no thread and no connection of ours: a worker forked while a thread opened a connection would wait for the pool's lock
    until it is killed, and workers that inherit one connection would read each other's answers.
    """
    return isinstance(service.server, service.PreforkServer) and service.server.pid == os.getpid()


def _call_what_was_left():
    """In the worker that was forked first."""
    while _left_to_a_worker:
        _call_crons(_left_to_a_worker.pop(), START_SECONDS)


os.register_at_fork(after_in_parent=_left_to_a_worker.clear, after_in_child=_call_what_was_left)


def _make_due(dbname):
    """Have a database's crons run when they look next. Says whether there are any."""
    with db_connect(dbname).cursor() as cr:
        cr.execute(TRIGGER, {'seconds': 0})
        return bool(cr.rowcount)


def _get_infrastructure(name):
    """What system administrators set: by environment, else by section [opterp_kkt] of Odoo's configuration file."""
    parser = ConfigParser(interpolation=None)
    parser.read(config['config'] or [])
    return os.environ.get(f'ODOO_KKT_{name.upper()}') or parser.get('opterp_kkt', name, fallback=INFRASTRUCTURE[name])
