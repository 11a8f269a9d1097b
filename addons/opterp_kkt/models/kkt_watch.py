from datetime import timedelta

from odoo import api, fields, models

from .kkt_delivery import CRONS

# The law gives 30 days (a fiscal drive blocks after them, 54-FZ); the level of an alarm is the number of steps passed.
STEPS = (timedelta(hours=1), timedelta(days=1), timedelta(days=25), timedelta(days=30))
CRON_MINUTES = 10  # a delivery job that runs was called since then
CRON_FAILURES = 3  # in a row: it is called, but does not deliver
AHEAD_MS = 60_000  # of the database's clock
WAITING = "r.state IN ('pending', 'sending')"

# The queue's head of every register that waits. Queues are in order, so it is the oldest, too. No history is read.
HEADS = f"""
    SELECT g.id AS register_id, g.ofd_id, o.active AS ofd_active, h.create_date, h.last_outcome,
           d.hold_reason IS NOT NULL AS held, b.id AS breaker_id, b.mode, b.state,
           o.paused_until > now() AT TIME ZONE 'UTC' AS paused, o.pause_reason
      FROM kkt_register g
      JOIN kkt_delivery d ON d.register_id = g.id
      JOIN kkt_ofd o ON o.id = g.ofd_id
      JOIN kkt_circuit_breaker b ON b.id = o.breaker_id
     CROSS JOIN LATERAL (
           SELECT r.create_date, r.last_outcome FROM kkt_receipt r
            WHERE r.register_id = g.id AND {WAITING} ORDER BY r.queue_number LIMIT 1) h
"""
COUNTS = f"SELECT r.register_id, count(*) FROM kkt_receipt r WHERE {WAITING} GROUP BY r.register_id"
REJECTED = """
    SELECT register_id, count(*), max(id) AS latest FROM kkt_receipt
     WHERE state = 'rejected' AND handled_at IS NULL GROUP BY register_id
"""
AHEAD = """
    SELECT * FROM (
        SELECT id, hlc_local_time - floor(extract(epoch FROM now()) * 1000)::bigint AS ahead FROM kkt_register) g
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
RUNNING = """
    SELECT 1 FROM ir_cron
     WHERE id = ANY(%s) AND active AND failure_count < %s
       AND COALESCE(lastcall, create_date) > now() AT TIME ZONE 'UTC' - %s * interval '1 minute'
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
        self.env['kkt.alarm'].sudo()._note(self.sudo()._find())

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
            'rejected': self._find_rejected(),
            'clock': self._find_clock(),
            'till_clock': self._find_till_clock(),
            'misconfigured': self._find_misconfigured(heads),
            'crons': self._find_crons(heads),
            'redis': self._find_redis(),
            'breaker': self._find_breaker(heads),
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
                found[self._browse('kkt.register', head['register_id'])] = level, {
                    'count': counts[head['register_id']],
                    'oldest': _to_text(head['create_date']),
                    'deadline': _to_text(head['create_date'] + STEPS[-1]),
                    'reason': _get_reason(head),
                }
        return found

    @api.model
    def _find_held(self):
        deliveries = self.env['kkt.delivery'].search([('hold_reason', '!=', False)])
        return {
            delivery.register_id: (1, {'reason': delivery.hold_reason, 'document': delivery.hold_receipt_id.id})
            for delivery in deliveries}

    @api.model
    def _find_rejected(self):
        found = {}
        for row in self._query(REJECTED):
            latest = self._browse('kkt.receipt', row['latest'])
            found[self._browse('kkt.register', row['register_id'])] = 1, {
                'count': row['count'], 'document': latest.id, 'error': latest.last_error or ""}
        return found

    @api.model
    def _find_clock(self):
        return {
            self._browse('kkt.register', row['id']): (1, {'ahead': row['ahead'] // 1000})
            for row in self._query(AHEAD, AHEAD_MS)}

    @api.model
    def _find_till_clock(self):
        return {
            self._browse('kkt.register', row['register_id']): (1, {'count': row['count']}) for row in self._query(DRIFT)}

    @api.model
    def _find_misconfigured(self, heads):
        """The head of a queue keeps the outcome of its last try, also in the moments between two pauses."""
        ofds = _group([head for head in heads if head['last_outcome'] == 'misconfigured'], 'ofd_id')
        return {
            self._browse('kkt.ofd', ofd_id): (1, {'count': len(rows), 'message': rows[0]['pause_reason'] or ""})
            for ofd_id, rows in ofds.items()}

    @api.model
    def _find_crons(self, heads):
        crons = [self.env.ref(xmlid, raise_if_not_found=False) for xmlid in CRONS]
        if self._query(RUNNING, [cron.id for cron in crons if cron], CRON_FAILURES, CRON_MINUTES):
            return {}
        return {
            self._browse('kkt.ofd', ofd_id): (1, {'count': len(rows)}) for ofd_id, rows in _group(heads, 'ofd_id').items()}

    @api.model
    def _find_redis(self):
        return {self._browse('kkt.ofd', row['ofd_id']): (1, {'count': row['count']}) for row in self._query(MISSING)}

    @api.model
    def _find_breaker(self, heads):
        """A breaker that is not closed matters while something waits; one that is disabled, always."""
        waiting = {head['breaker_id'] for head in heads}
        breakers = self.env['kkt.circuit.breaker'].search(['|', ('mode', '!=', 'automatic'), ('state', '!=', 'closed')])
        return {
            breaker: (1, {
                'mode': 'open' if breaker.mode == 'automatic' else breaker.mode,
                'reason': breaker.mode_reason})
            for breaker in breakers if breaker.id in waiting or breaker.mode == 'disabled'}

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
    if not head['ofd_active']:
        return 'archived'
    if head['mode'] == 'forced_open':
        return 'forced_open'
    if head['mode'] == 'automatic' and head['state'] != 'closed':
        return 'open'
    return 'paused' if head['paused'] else None
