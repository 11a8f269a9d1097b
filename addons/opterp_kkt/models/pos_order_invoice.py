import logging

from odoo import models
from odoo.exceptions import UserError

_logger = logging.getLogger(__name__)


class PosOrder(models.Model):
    """What a till has sold is stored with its receipt, whatever is wrong with its invoice.

    Odoo makes an invoice in the transaction that stores the order. Where that is not possible (no program for PDF files, a
    customer without accounts) an order that was paid without connection would be refused, and stay in its browser. It is stored
    without its invoice instead: the till says so, and the invoice is asked for from the list of orders.
    """

    _inherit = 'pos.order'

    def _process_saved_order(self, draft):
        # EXTENDS 'point_of_sale'
        arrived = self.with_context(kkt_has_arrived=bool(self.kkt_hlc)) if self.to_invoice else self
        return super(PosOrder, arrived)._process_saved_order(draft)

    def _generate_pos_order_invoice(self):
        # EXTENDS 'point_of_sale'
        if not self.env.context.get('kkt_has_arrived'):
            return super()._generate_pos_order_invoice()
        try:
            with self.env.cr.savepoint():
                return super()._generate_pos_order_invoice()
        except UserError as error:
            self.env.invalidate_all()
            _logger.warning("%s is stored without its invoice: %s", self.mapped('pos_reference'), error)
            return self.env['account.move']
