import time
from datetime import timedelta

from odoo import api, fields, models

from ..core.shift import LATE
from ..delivery.statements import DESTINATION, HEAD

# The law gives 30 days (a fiscal drive blocks after them, 54-FZ); the level of an alarm is the number of steps passed.
STEPS = (timedelta(hours=1), timedelta(days=1), timedelta(days=25), timedelta(days=30))
AHEAD_MS = 60_000  # of the database's clock
LONE_FAILURES = 3  # of a document while others pass: said before its register is held for it
WAITING = "r.state IN ('pending', 'sending')"

# The head of every queue, and what stands in its way. Queues are in order, so it is mostly the oldest, too. No history is read.
HEADS = f"""
    SELECT g.id AS register_id, o.id AS ofd_id, h.id AS receipt_id, h.create_date, h.last_outcome, h.last_status, h.last_error,
           h.attempts, h.failures, h.lone_failures, h.absent,
           d.hold_reason IS NOT NULL AS held, b.id AS breaker_id, b.mode, b.state,
           o.paused_until > now() AT TIME ZONE 'UTC' AS paused, o.pause_reason
      FROM kkt_register g
      JOIN kkt_delivery d ON d.register_id = g.id
     CROSS JOIN LATERAL ({HEAD}) h
      JOIN kkt_ofd o ON o.id = {DESTINATION}
      JOIN kkt_circuit_breaker b ON b.id = o.breaker_id
"""
COUNTS = f"SELECT r.register_id, count(*) FROM kkt_receipt r WHERE {WAITING} GROUP BY r.register_id"
REJECTED = """
    SELECT register_id, count(*), max(id) AS latest FROM kkt_receipt
     WHERE state = 'rejected' AND handled_at IS NULL GROUP BY register_id
"""
AHEAD = """
    SELECT * FROM (
        SELECT id, hlc_local_time - floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ahead FROM kkt_register) g
     WHERE ahead > %s
"""
DRIFT = """
    SELECT register_id, count(*) FROM kkt_receipt
     WHERE hlc_drift AND create_date > now() AT TIME ZONE 'UTC' - interval '1 hour' GROUP BY register_id
"""
# A register that rests keeps what its last holder noted, so only those count that were delivered at about the last time.
MISSING = """
    SELECT g.ofd_id, count(*) FROM kkt_delivery d JOIN kkt_register g ON g.id = d.register_id
     WHERE d.lease_missing AND d.held_at > (SELECT max(held_at) FROM kkt_delivery) - interval '10 minutes' GROUP BY g.ofd_id
"""


class KktWatch(models.AbstractModel):
    """Looks for what a person has to know, every few minutes and soon after a document was rejected or held.

    `_find_*` each look for one kind of cause; `kkt.alarm` keeps them and tells people. What is read is unfinished or one row
    per register, so that a look costs the same whatever the history.
    """

    _name = 'kkt.watch'
    _description = "Watch over Fiscal Receipts"

    @api.model
    def _wake(self):
        """Have it look once this transaction is committed."""
        cron = self.env.ref('opterp_kkt.ir_cron_watch', raise_if_not_found=False)
        if cron:
            cron.sudo()._trigger()

    @api.model
    def _cron_watch(self):
        self.env['kkt.alarm'].sudo()._match(self.sudo()._find())

    @api.model
    def _find(self):
        """All causes of alarm that are there now.

        :return: `{(kind, record): (level, facts)}`
        """
        self.env.flush_all()
        heads = self._query(HEADS)
        causes = {
            'overdue': self._find_overdue(heads),
            'held': self._find_held(),
            'stuck': self._find_stuck(heads),
            'rejected': self._find_rejected(),
            'clock': self._find_clock(),
            'host_clock': self._find_host_clock(),
            'till_clock': self._find_till_clock(),
            'misconfigured': self._find_misconfigured(heads),
            'crons': self._find_crons(heads),
            'redis': self._find_redis(),
            'breaker': self._find_breaker(heads),
            'shift': self._find_shift(),
        }
        return {(kind, record): cause for kind, found in causes.items() for record, cause in found.items()}

    @api.model
    def _find_overdue(self, heads):
        now = self.env.cr.now()
        counts = {row['register_id']: row['count'] for row in self._query(COUNTS)}
        found = {}
        for head in heads:
            level = sum(now - head['create_date'] >= step for step in STEPS)
            if level:
                found[self._browse('kkt.register', head['register_id'])] = (
                    level,
                    {
                        'count': counts[head['register_id']],
                        'oldest': _to_text(head['create_date']),
                        'deadline': _to_text(head['create_date'] + STEPS[-1]),
                        'reason': _get_reason(head),
                    },
                )
        return found

    @api.model
    def _find_held(self):
        deliveries = self.env['kkt.delivery'].search([('hold_reason', '!=', False)])
        return {
            delivery.register_id: (1, {'reason': delivery.hold_reason, 'document': delivery.hold_receipt_id.id})
            for delivery in deliveries
        }

    @api.model
    def _find_stuck(self, heads):
        """A document that gets no verdict, try after try: it is tried on, but a person should know, and may decide."""
        tries = self.env['kkt.delivery']._get_number('poison_tries')
        return {
            self._browse('kkt.register', head['register_id']): (
                1,
                {
                    'document': head['receipt_id'],
                    'tries': head['failures'],
                    'error': head['last_error'] or "",
                    'answered': bool(head['last_status']),
                    'absent': bool(head['absent']),
                    'alone': bool(head['lone_failures']),
                },
            )
            for head in heads
            if not head['held'] and (head['failures'] >= tries or head['lone_failures'] >= LONE_FAILURES)
        }

    @api.model
    def _find_rejected(self):
        found = {}
        for row in self._query(REJECTED):
            latest = self._browse('kkt.receipt', row['latest'])
            found[self._browse('kkt.register', row['register_id'])] = (
                1,
                {'count': row['count'], 'document': latest.id, 'error': latest.last_error or ""},
            )
        return found

    @api.model
    def _find_clock(self):
        return {
            self._browse('kkt.register', row['id']): (1, {'ahead': row['ahead'] // 1000}) for row in self._query(AHEAD, AHEAD_MS)
        }

    @api.model
    def _find_host_clock(self):
        """This host's clock and the database's differ: one of them is wrong, and documents state the database's."""
        [row] = self._query("SELECT extract(epoch FROM clock_timestamp())::float8 AS now")
        ahead = round(row['now'] - time.time())
        if abs(ahead) * 1000 <= AHEAD_MS:
            return {}
        return {ofd: (1, {'ahead': ahead // 10 * 10}) for ofd in self.env['kkt.register'].search([]).ofd_id}

    @api.model
    def _find_till_clock(self):
        return {self._browse('kkt.register', row['register_id']): (1, {'count': row['count']}) for row in self._query(DRIFT)}

    @api.model
    def _find_misconfigured(self, heads):
        """The head of a queue keeps the outcome of its last try, also in the moments between two pauses.

        What fails alone is the document's own trouble.
        """
        ofds = _group([head for head in heads if head['last_outcome'] == 'misconfigured' and not head['lone_failures']], 'ofd_id')
        return {
            self._browse('kkt.ofd', ofd_id): (1, {'count': len(rows), 'message': rows[0]['pause_reason'] or ""})
            for ofd_id, rows in ofds.items()
        }

    @api.model
    def _find_crons(self, heads):
        if not self.env['kkt.health']._get_delivery_stop():
            return {}
        return {self._browse('kkt.ofd', ofd_id): (1, {'count': len(rows)}) for ofd_id, rows in _group(heads, 'ofd_id').items()}

    @api.model
    def _find_redis(self):
        return {self._browse('kkt.ofd', row['ofd_id']): (1, {'count': row['count']}) for row in self._query(MISSING)}

    @api.model
    def _find_breaker(self, heads):
        """A breaker that is not closed matters while something waits; one that is disabled, always."""
        waiting = {head['breaker_id'] for head in heads}
        breakers = self.env['kkt.circuit.breaker'].search(['|', ('mode', '!=', 'automatic'), ('state', '!=', 'closed')])
        return {
            breaker: (1, {'mode': 'open' if breaker.mode == 'automatic' else breaker.mode, 'reason': breaker.mode_reason})
            for breaker in breakers
            if breaker.id in waiting or breaker.mode == 'disabled'
        }

    @api.model
    def _find_shift(self):
        """A shift that nobody closes."""
        registers = self.env['kkt.register'].search([('shift_id', '!=', False)])
        return {
            register: (1, {'shift': register.shift_id.id, 'refuses': register.on_shift_end == 'refuse'})
            for register in registers
            if register._get_shift_age() >= LATE and not register._is_receiver('keeps_shifts')
        }

    @api.model
    def _browse(self, model, record_id):
        return self.env[model].browse(record_id)

    @api.model
    def _query(self, sql, *parameters):
        self.env.cr.execute(sql, parameters or None)
        return self.env.cr.dictfetchall()


def _group(rows, name):
    groups = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return groups


def _to_text(moment):
    return fields.Datetime.to_string(moment)


def _get_reason(head):
    """What stands in the way of a queue, as far as the database knows."""
    if head['held']:
        return 'held'
    if head['mode'] == 'forced_open':
        return 'forced_open'
    if head['mode'] == 'automatic' and head['state'] != 'closed':
        return 'open'
    return 'paused' if head['paused'] else None
