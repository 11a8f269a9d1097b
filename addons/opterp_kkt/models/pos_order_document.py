from odoo import models

from ..core import ffd

SALE, REFUND = '1', '2'


class PosOrder(models.Model):
    """What an order's receipts state: it is the source that `kkt.receipt._issue` asks."""

    _inherit = 'pos.order'

    def _kkt_get_operation_types(self):
        quantities = [line.qty for line in self.lines if not line._kkt_get_set_off()]
        types = [SALE] * any(qty > 0 for qty in quantities) + [REFUND] * any(qty < 0 for qty in quantities)
        return types or [REFUND if self.is_refund or self.amount_total < 0 else SALE]

    def _kkt_get_references(self, operation_type):
        origin = self._kkt_get_refunded_receipts().filtered(lambda receipt: receipt.operation_type == SALE)
        return {
            'pos_order_id': self.id,
            'cashier': self._kkt_get_cashier(),
            'refunded_receipt_id': operation_type == REFUND and origin[:1].id,
        }

    def _kkt_get_refunded_receipts(self):
        return self.lines.refunded_orderline_id.order_id.kkt_receipt_ids

    def _kkt_get_stamps(self):
        """Stamps in this database that its receipts must be later than, however far ahead they are; and what the till claims."""
        return self._kkt_get_refunded_receipts()._get_stamps(), self.kkt_hlc

    def _kkt_get_body(self, register, operation_type):
        """The document without what the register adds.

        :raises DocumentError: what is wrong with the sale
        """
        register._check_serves(self.config_id, self.company_id)
        items = self._kkt_get_items(operation_type)
        if self.currency_id.name != 'RUB':
            raise ffd.DocumentError('currency', currency=self.currency_id.name)
        register._check_inn()
        total = sum(item.total for item in items)
        other = sum(line._kkt_get_total() for line in self._kkt_get_lines(REFUND if operation_type == SALE else SALE))
        tolerance = len(self.lines) + round(100 * self.config_id.cash_rounding * self.config_id.rounding_method.rounding)
        paid = ffd.share_payments(self._kkt_get_paid(operation_type), total, other, tolerance)
        contacts = register._get_contact_values(self.email, self.mobile)
        head = {'operator': self._kkt_get_cashier(), **register._get_head_values(), **contacts}
        body = ffd.settlement(int(operation_type), items, paid, head, register._get_day())
        self._kkt_get_lines(operation_type)._kkt_keep(items)
        return body

    def _kkt_get_lines(self, operation_type):
        """The order's lines that belong into one document. A combo's own line has no price, its parts have."""
        sign = 1 if operation_type == SALE else -1
        return self.lines.filtered(lambda line: sign * line.qty > 0 and not line.combo_line_ids and not line._kkt_get_set_off())

    def _kkt_get_items(self, operation_type):
        return [line._kkt_get_item() for line in self._kkt_get_lines(operation_type)]

    def _kkt_get_paid(self, operation_type):
        """Kopecks by payment form, after change; of a refund, what was given back."""
        sign = 1 if operation_type == SALE else -1
        paid = {}
        for payment in self.payment_ids:
            form = payment.payment_method_id._kkt_get_form()
            paid[form] = paid.get(form, 0) + sign * round(payment.amount * 100)
        for line in self.lines:
            if amount := line._kkt_get_set_off():
                paid['prepaid'] = paid.get('prepaid', 0) + sign * amount
        return paid

    def _kkt_get_cashier(self):
        """Tag 1021."""
        employee = 'employee_id' in self._fields and self.employee_id.name
        return employee or self.user_id.name or ''
