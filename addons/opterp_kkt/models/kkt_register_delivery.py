from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from .big_integer import BigInteger

NOTHING = {'pending_count': 0, 'rejected_count': 0, 'oldest_pending_at': False}


class KktRegister(models.Model):
    """What a register has waiting, who delivers it, what stands in its way, and the buttons that help."""

    _inherit = 'kkt.register'

    delivery_epoch = BigInteger(compute='_compute_delivery', compute_sudo=True)
    delivery_holder = fields.Char("Last Delivered by", compute='_compute_delivery', compute_sudo=True)
    hold_reason = fields.Text("Held Because", compute='_compute_delivery', compute_sudo=True)
    hold_receipt_id = fields.Many2one('kkt.receipt', "Held for", compute='_compute_delivery', compute_sudo=True)
    lease_missing = fields.Boolean("Redis Is Missing", compute='_compute_delivery', compute_sudo=True)
    alarm_summary = fields.Html("Alarms", compute='_compute_alarm_summary', compute_sudo=True)
    pending_count = fields.Integer("Waiting", compute='_compute_queue', compute_sudo=True)
    rejected_count = fields.Integer("Rejected", compute='_compute_queue', compute_sudo=True)
    oldest_pending_at = fields.Datetime("Oldest Waiting", compute='_compute_queue', compute_sudo=True)
    ofd_paused_until = fields.Datetime(related='ofd_id.paused_until')
    ofd_pause_reason = fields.Text(related='ofd_id.pause_reason')
    breaker_condition = fields.Selection(related='ofd_id.breaker_id.condition')

    head_id = fields.Many2one('kkt.receipt', "First in the Queue", compute='_compute_head', compute_sudo=True)
    head_is_handleable = fields.Boolean(compute='_compute_head', compute_sudo=True)
    queue_condition = fields.Char(compute='_compute_head', compute_sudo=True)
    queue_text = fields.Html("What the Queue Waits for", compute='_compute_head', compute_sudo=True)

    @api.depends('delivery_ids')
    @api.depends_context('lang')
    def _compute_delivery(self):
        for register in self:
            delivery = register.delivery_ids
            register.delivery_epoch = delivery.epoch
            register.delivery_holder = delivery.holder
            register.hold_reason = delivery.hold_reason and delivery._get_hold_reason()
            register.hold_receipt_id = delivery.hold_receipt_id
            register.lease_missing = delivery.lease_missing

    def _compute_alarm_summary(self):
        """What the watch found about each register, but for what its form says by itself."""
        alarms = self.env['kkt.alarm'].search(
            [('res_model', '=', self._name), ('res_id', 'in', self.ids), ('told_level', '>', 0), ('kind', '!=', 'held')]
        )
        for register in self:
            own = alarms.filtered(lambda alarm: alarm.res_id == register.id)  # noqa: B023
            register.alarm_summary = Markup("").join(
                Markup("<div><strong>%s</strong><br/>%s</div>") % (alarm.happened, alarm.meaning) for alarm in own
            )

    def _compute_queue(self):
        unfinished = self._get_unfinished()
        for register in self:
            register.update(unfinished.get(register.id, NOTHING))

    def _get_unfinished(self):
        """What waits and what was rejected, by register id: values of the fields of these names."""
        self.env['kkt.receipt'].flush_model()
        found = {register_id: dict(NOTHING) for register_id in self.ids}
        for row in self.env.execute_query_dict(_queue_sql(self.ids)):
            own = found[row['register_id']]
            own['pending_count'] += row['pending']
            own['rejected_count'] += row['rejected']
            own['oldest_pending_at'] = row['oldest'] or own['oldest_pending_at']
        return found

    @api.depends_context('lang', 'tz')
    def _compute_head(self):
        """What the queue waits for, with words unless it is on its way as it should be."""
        found = self.env['kkt.health']._explain(self)
        for register in self:
            register.update(
                found.get(register.id)
                or {'head_id': False, 'head_is_handleable': False, 'queue_condition': False, 'queue_text': False}
            )

    # -- buttons -----------------------------------------------------------------------------------------------------------

    def action_deliver(self):
        """One pass of delivery for these registers, for at most 20 s. It ignores the backoff, but not the breaker.

        :return: `{"delivered": n, "rejected": n, "waiting": n, "busy": [ids of registers another worker is delivering]}`
        """
        self._check_may_deliver()
        return self.env['kkt.delivery'].sudo()._deliver_now(self)

    def action_deliver_now(self):
        """The button: deliver, and say in words what happened."""
        result = self.action_deliver()
        texts = [
            result['delivered'] and self.env._("Delivered: %s.", result['delivered']),
            result['rejected'] and self.env._("Rejected by the OFD: %s.", result['rejected']),
            result['waiting'] and self.env._("Still waiting: %s.", result['waiting']),
            result['busy'] and self.env._("Another worker is delivering at this moment."),
            *(self.env['kkt.health'].sudo()._summarize(self.sudo()) if result['waiting'] else ()),
        ]
        return {
            'type': 'ir.actions.client',
            'tag': 'display_notification',
            'params': {
                'type': 'warning' if result['rejected'] or result['waiting'] else 'success',
                'title': self.env._("Delivery to the OFD"),
                'message': " ".join(filter(None, texts)) or self.env._("Nothing was waiting."),
                'next': {'type': 'ir.actions.client', 'tag': 'soft_reload'},
            },
        }

    def action_release_hold(self):
        """Let a held register go on with its next document."""
        self._check_may_deliver()
        self.sudo().delivery_ids._release()
        self.env['kkt.watch']._wake()

    def action_hold(self):
        """Let nothing of a register be sent, because of the document that its queue begins with."""
        self.check_access('read')
        if not self.env.su and not self.env.user.has_group('opterp_kkt.group_fiscal_admin'):
            raise AccessError(self.env._("Only a fiscal administrator holds a register."))
        for register in self.sudo():
            head = self.env['kkt.receipt'].sudo()._get_head(register)
            if not head:
                raise UserError(self.env._("Nothing of %s waits, so there is nothing to hold.", register.name))
            register.delivery_ids._hold(head, self.env._("Held by %s.", self.env.user.name))
        self.env['kkt.watch']._wake()

    def action_handle_head(self):
        """Ask for the reason, then leave the document out that the queue stands still for."""
        return self.head_id.action_handle()

    def get_health(self):
        """What the till asks for once a minute: what waits at the server, for how long (s), and what stands in the way."""
        self.ensure_one()
        self.check_access('read')
        return self.env['kkt.health'].sudo()._get_till_report(self.sudo())

    def _check_may_deliver(self):
        self.check_access('read')
        if not self.env.su and not self.env.user.has_group('point_of_sale.group_pos_manager'):
            raise AccessError(self.env._("Only an administrator of the point of sale delivers receipts by hand."))


def _queue_sql(register_ids):
    """Counts from the partial indexes on what is unfinished: their cost doesn't grow with history."""
    return SQL(
        """
        SELECT register_id, count(*) AS pending, 0 AS rejected, min(create_date) AS oldest
          FROM kkt_receipt WHERE register_id = ANY(%(ids)s) AND state IN ('pending', 'sending') GROUP BY register_id
         UNION ALL
        SELECT register_id, 0, count(*), NULL
          FROM kkt_receipt WHERE register_id = ANY(%(ids)s) AND state = 'rejected' AND handled_at IS NULL
         GROUP BY register_id
    """,
        ids=register_ids,
    )
