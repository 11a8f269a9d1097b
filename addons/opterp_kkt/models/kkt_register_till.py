from odoo import models

MOST_ORDERS = 1000  # that one question may be about
LARGEST_ID = 2**31 - 1
SHOWN_FIELDS = ['kkt_state', 'kkt_qr', 'kkt_documents']
DASHBOARD = 'kkt_dashboard'  # the channel of the open dashboards


class KktRegister(models.Model):
    """What the open tills of a register show of its documents, and how they hear of a change.

        delivery, a breaker, a person changes something ──> `_tell_tills`: a message on the channel of the point of sale
            ├─ the till asks once, by `get_till_report`, for whatever it shows
            └─ an open dashboard asks for its figures, which only those get who may see them

    The channel is protected by its name alone, so the message says no more than whose tills should look. A till that hears
    nothing (a bus that is down, a reload) asks by itself while something is open.
    """

    _inherit = 'kkt.register'

    def _tell_tills(self):
        for register in self.exists().filtered('pos_config_id'):
            register.pos_config_id._notify('KKT_CHANGED', {'register_id': register.id})
        self.env['bus.bus']._sendone(DASHBOARD, 'KKT_CHANGED', {})

    def get_till_report(self, shown=()):
        """How the register is doing, and what has become of the orders that a till shows.

        :param shown: `[order id, state, FD numbers]` of each, as the till knows them: only what differs is answered
        """
        self.ensure_one()
        return {
            **self.get_health(),
            'may_deliver': self.env.user.has_group('point_of_sale.group_pos_manager'),
            'rates': self.env['account.tax']._kkt_get_usable_rates(self.sudo()._get_day()),
            'orders': self.sudo()._get_changed_orders(shown),
        }

    def _get_changed_orders(self, shown):
        known = {order_id: mark for order_id, *mark in filter(_is_mark, shown[:MOST_ORDERS])} if isinstance(shown, list) else {}
        orders = self.env['pos.order'].search([('id', 'in', list(known)), ('config_id', '=', self.pos_config_id.id)])
        return orders.filtered(lambda order: order._kkt_get_mark() != known[order.id]).read(SHOWN_FIELDS, load=False)


def _is_mark(mark):
    """Whether a browser sent what it should."""
    return isinstance(mark, list) and len(mark) == 3 and type(mark[0]) is int and 0 < mark[0] <= LARGEST_ID
