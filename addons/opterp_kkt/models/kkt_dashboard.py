from datetime import UTC

from odoo import api, models
from odoo.exceptions import AccessError

from ..core import dashboard
from ..delivery.locks import GUARD

HOURS = 6  # that a breaker's band shows
URGENCY = ('danger', 'warning', 'success')
# What each OFD took in the last hour: by minutes, and as a whole. The block range index on `delivered_at` leads to what is new.
DELIVERED = """
    SELECT ofd_id, minutes_ago, count(*) AS count, percentile_cont(0.5) WITHIN GROUP (ORDER BY delay) AS p50,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY delay) AS p95
      FROM (SELECT r.sent_to_id AS ofd_id, extract(epoch FROM r.delivered_at - r.create_date)::float8 AS delay,
                   GREATEST(0, floor(extract(epoch FROM now() AT TIME ZONE 'UTC' - r.delivered_at) / 60))::int AS minutes_ago
              FROM kkt_receipt r
             WHERE r.delivered_at > now() AT TIME ZONE 'UTC' - interval '1 hour' AND r.register_id = ANY(%(registers)s)
           ) delivered
     GROUP BY GROUPING SETS ((ofd_id), (ofd_id, minutes_ago))
"""
# Who has the guard of a register delivers for it at this moment.
GUARDED = """
    SELECT objid::int AS register_id FROM pg_locks
     WHERE locktype = 'advisory' AND granted AND classid = %(guard)s
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
EVENTS = """
    SELECT breaker_id, extract(epoch FROM happened_at)::float8 AS at, from_state, to_state
      FROM kkt_circuit_breaker_event
     WHERE breaker_id = ANY(%(breakers)s) AND happened_at > now() AT TIME ZONE 'UTC' - %(hours)s * interval '1 hour'
     ORDER BY id
"""


class KktDashboard(models.AbstractModel):
    """The page that shows at a glance how receipts reach the OFD: figures of each OFD and each register.

    One call, and as many statements whatever the number of registers: from what is unfinished, one row per register, and the
    documents of the last hour. The page asks again when it hears of a change (`kkt_register_till.py`), and from time to time.
    """

    _name = 'kkt.dashboard'
    _description = "Dashboard of Delivery"

    @api.model
    def get_figures(self):
        """Figures of all registers and OFDs that the user sees; times in seconds, moments in ms since 1970."""
        if not self.env.user.has_group('point_of_sale.group_pos_manager'):
            raise AccessError(self.env._("The dashboard is for administrators of the point of sale."))
        registers = self.env['kkt.register'].search([('company_id', 'in', self.env.companies.ids)])
        ofds = self.env['kkt.ofd'].search([('former_of_id', '=', False)])
        rows = self._get_registers(registers)
        return {
            'now': int(self._get_now() * 1000),
            'hours': HOURS,
            'registers': sorted(rows, key=lambda row: (URGENCY.index(row['attention']), -(row['oldest'] or 0), row['name'])),
            'ofds': self._get_ofds(ofds.sudo(), registers, rows),
        }

    @api.model
    def _get_now(self):
        return self.env.cr.now().replace(tzinfo=UTC).timestamp()

    # -- registers ---------------------------------------------------------------------------------------------------------

    @api.model
    def _get_registers(self, registers):
        registers = registers.sudo()
        health = self.env['kkt.health'].sudo()
        stop = health._get_delivery_stop()
        queues = {row['register_id']: row for row in health._get_queues(registers.ids)}
        guarded = {row['register_id'] for row in health._query(GUARDED, guard=GUARD)}
        unfinished = registers._get_unfinished()
        return [
            self._get_register(
                register, health._get_condition(queues[register.id], stop), unfinished[register.id], register.id in guarded
            )
            for register in registers
        ]

    @api.model
    def _get_register(self, register, condition, unfinished, is_delivering):
        delivery = register.delivery_ids
        since = unfinished['oldest_pending_at']
        oldest = max(0.0, self._get_now() - since.replace(tzinfo=UTC).timestamp()) if since else None
        hours_left = None if register._is_receiver('keeps_shifts') else register._get_hours_left()
        rejected = unfinished['rejected_count']
        return {
            'id': register.id,
            'name': register.name,
            'pos': register.pos_config_id.name or '',
            'ofd': register.ofd_id.id,
            'condition': condition or False,
            'attention': dashboard.get_attention(condition, oldest, rejected, hours_left, delivery.lease_missing),
            'lease_missing': delivery.lease_missing,
            'waiting': unfinished['pending_count'],
            'rejected': rejected,
            'oldest': oldest,
            'days_left': dashboard.get_days_left(oldest),
            'fd_number': register.last_fd_number,
            'shift': register.shift_id.number or False,
            'hours_left': hours_left,
            'delivering': is_delivering,
            'holder': _get_place(delivery.holder),
            'since': delivery.held_at and int(delivery.held_at.replace(tzinfo=UTC).timestamp() * 1000),
            'epoch': delivery.epoch,
        }

    # -- OFDs --------------------------------------------------------------------------------------------------------------

    @api.model
    def _get_ofds(self, ofds, registers, rows):
        query = self.env['kkt.health'].sudo()._query
        delivered = query(DELIVERED, registers=registers.ids)
        events = query(EVENTS, breakers=ofds.breaker_id.ids, hours=HOURS)
        return [self._get_ofd(ofd, [row for row in rows if row['ofd'] == ofd.id], delivered, events) for ofd in ofds]

    @api.model
    def _get_ofd(self, ofd, registers, delivered, events):
        own = [row for row in delivered if row['ofd_id'] == ofd.id]
        hour = next((row for row in own if row['minutes_ago'] is None), {'count': 0, 'p50': None, 'p95': None})
        by_minute = {row['minutes_ago']: row['count'] for row in own}
        return {
            'id': ofd.id,
            'name': ofd.name,
            'breaker': ofd.breaker_id.id,
            'condition': ofd.breaker_id.condition,
            'failures': ofd.breaker_id.failure_count,
            'paused': bool(ofd.paused_until and ofd.paused_until > self.env.cr.now()),
            'band': self._get_band(ofd.breaker_id, events),
            'registers': len(registers),
            'waiting': sum(row['waiting'] for row in registers),
            'oldest': max((row['oldest'] for row in registers if row['oldest'] is not None), default=None),
            'delivered': hour['count'],
            'p50': hour['p50'],
            'p95': hour['p95'],
            'per_minute': [by_minute.get(minute, 0) for minute in reversed(range(60))],
        }

    @api.model
    def _get_band(self, breaker, events):
        """How the breaker's state went on; a mode that a person chose is shown as the whole of it."""
        now = self._get_now()
        if breaker.mode != 'automatic':
            return [dashboard.Span(breaker.mode, 0.0, 1.0)._asdict()]
        moves = [
            dashboard.Move(row['at'], row['from_state'], row['to_state']) for row in events if row['breaker_id'] == breaker.id
        ]
        return [span._asdict() for span in dashboard.get_band(moves, breaker.state, now - HOURS * 3600, now)]


def _get_place(holder):
    """Host and process of a deliverer's name."""
    return ' · '.join((holder or '').split(':')[:2])
