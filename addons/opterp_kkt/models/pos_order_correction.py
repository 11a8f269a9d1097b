from odoo import fields, models

from ..core.document_error import DocumentError
from ..core.ffd import share_payments
from ..core.lines import GOODS, fit_items
from .pos_order_document import REFUND, SALE


class PosOrder(models.Model):
    """An order that was sold without the register gets a correction instead of a receipt, for each of its operations."""

    _inherit = 'pos.order'

    def _kkt_get_corrections(self):
        return (
            self.env['kkt.correction'].sudo().search([('pos_order_id', 'in', self.ids)]) if self else self.env['kkt.correction']
        )

    def _kkt_check_correctable(self, planned):
        """:raises DocumentError: that correction can't state this order"""
        names = {'order': self.display_name}
        if self.company_id != planned.register_id.company_id:
            raise DocumentError('order_company', own=self.company_id.name, register=planned.register_id.name, **names)
        if self.state in ('draft', 'cancel'):
            raise DocumentError('order_not_paid', **names)
        receipts = self.sudo().kkt_receipt_ids
        if receipts.filtered('payload'):
            raise DocumentError('order_has_receipt', document=receipts.filtered('payload')[0].display_name, **names)
        if receipts.filtered(lambda receipt: not receipt.handled_at):
            raise DocumentError('order_unbuilt', **names)
        earlier = (self._kkt_get_corrections() - planned).filtered(lambda each: each.operation_type == planned.operation_type)
        if earlier:
            raise DocumentError('order_corrected', document=earlier.receipt_ids.display_name, **names)

    # -- the dialog --------------------------------------------------------------------------------------------------------

    def action_kkt_correct(self):
        """Open the dialog that states this order, or the corrections that have stated it."""
        self.ensure_one()
        self.env['kkt.receipt']._check_may_correct()
        self.check_access('read')
        order = self.sudo()
        given = order._kkt_get_corrections().mapped('operation_type')
        missing = [each for each in order._kkt_get_operation_types() if each not in given]
        if not missing:
            action = self.env['ir.actions.act_window']._for_xml_id('opterp_kkt.kkt_correction_action')
            return {**action, 'domain': [('correction_id.pos_order_id', '=', self.id)]}
        return self.env['kkt.correction.draft']._start(order._kkt_get_correction_values(missing[0]))

    def _kkt_get_correction_values(self, operation_type):
        """What the dialog begins with; what the order's records don't tell is left for the person to fill in."""
        register = self.env['kkt.register'].search([('pos_config_id', '=', self.config_id.id)])
        register = register or register._get_substitute(self.company_id)
        lines, paid = self._kkt_get_fitted(operation_type)
        return {
            'pos_order_id': self.id,
            'register_id': register.id,
            'settlement_day': self._kkt_get_settlement_day(register),
            'operation_type': operation_type,
            'taxation_system': register.taxation_system,
            'contact': self.email or self.mobile,
            'line_ids': [fields.Command.create(values) for values in lines],
            **{f'paid_{form}': amount / 100 for form, amount in paid.items()},
        }

    def _kkt_get_settlement_day(self, register):
        """The order's day at the register; today where the clock that dated the order is ahead of the register's."""
        day = fields.Datetime.context_timestamp(self.with_context(tz=register.tz), self.date_order).date()
        return min(day, register._get_day()) if register else day

    def _kkt_get_fitted(self, operation_type):
        """Lines for the dialog with discounts spread over them, and kopecks by form; as they are where that can't be done."""
        other = REFUND if operation_type == SALE else SALE
        try:
            items = self._kkt_get_items(operation_type)
            opposite = sum(line._kkt_get_total() for line in self._kkt_get_lines(other))
            total = sum(item.total for item in items)
            paid = share_payments(self._kkt_get_paid(operation_type), total, opposite, len(self.lines))
            return [_get_item_values(item) for item in fit_items(items, sum(paid.values()))], paid
        except DocumentError:
            return [_get_plain_values(line) for line in self._kkt_get_lines(operation_type)], {}


def _get_plain_values(line):
    """Of a line whose taxes name no rate."""
    return {
        'name': line._kkt_get_name(),
        'quantity': abs(line.qty),
        'total': abs(line._kkt_get_total()) / 100,
        'subject': line.product_id.kkt_payment_subject or str(GOODS),
        'measure': line.product_uom_id.kkt_measure,
    }


def _get_item_values(item):
    return {
        'name': item.name,
        'quantity': float(item.quantity),
        'total': item.total / 100,
        'vat_rate': str(item.stated_rate),
        'subject': str(item.subject),
        'measure': item.measure,
        'method': str(item.method),
    }
