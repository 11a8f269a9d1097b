from decimal import Decimal

from odoo import api, fields, models

from ..core.document_error import DocumentError
from ..core.lines import ADVANCES, GOODS, PAYMENT, PIECE, Item
from ..core.vat import NOT_SUBJECT_TO_VAT

SIGNED = {'kkt_settlement_method', 'kkt_vat_rate'}


class PosOrderLine(models.Model):
    """What a line of an order states on its fiscal receipt (tag 1059).

    `kkt_vat_rate` is what the signed receipt of the line stated. A refund of the line states the same, whatever its tax says by
    then.
    """

    _inherit = 'pos.order.line'

    kkt_vat_rate = fields.Integer("VAT Rate Stated", readonly=True, copy=False, help="Tag 1199.")

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._kkt_believe(vals) for vals in vals_list])

    def write(self, vals):
        return super().write(self._kkt_believe(vals))

    def _kkt_believe(self, vals):
        """What anybody else says that a receipt stated is passed over: a till sends back whatever it has loaded."""
        return vals if self.env.su else {name: vals[name] for name in vals if name not in SIGNED}

    def _kkt_get_item(self):
        signed = self.refunded_orderline_id._kkt_get_signed_rate()
        method = self._kkt_get_method()
        goods = method not in ADVANCES
        return Item(
            name=self._kkt_get_name(),
            quantity=abs(Decimal(str(self.qty))),
            total=self._kkt_get_total(),
            vat_rate=signed or self._kkt_get_vat_rate(),
            subject=int(self.product_id.product_tmpl_id.kkt_payment_subject or GOODS) if goods else PAYMENT,
            measure=self.product_uom_id.kkt_measure if self.product_uom_id and goods else PIECE,
            method=method,
            of_earlier_sale=bool(signed),
        )

    def _kkt_keep(self, items):
        """What was signed of each line, for a refund. Nothing depends on it, so nothing but the two fields is written."""
        for line, item in zip(self, items, strict=True):
            self._fields['kkt_vat_rate'].write(line, item.stated_rate)
            self._fields['kkt_settlement_method'].write(line, item.method)

    def _kkt_get_name(self):
        return self.full_product_name or self.product_id.display_name

    def _kkt_get_total(self):
        """Kopecks of the line; a discount is negative, in a sale as in a refund.

        The amount's own sign can't tell: it is negative on a refund from the backend, positive on one from the till.
        """
        kopecks = abs(round(self.price_subtotal_incl * 100))
        return -kopecks if self.price_unit < 0 else kopecks

    def _kkt_get_vat_rate(self):
        """Tag 1199, as of today; a line without taxes is not subject to VAT."""
        rates = self.order_id.fiscal_position_id.map_tax(self.tax_ids)._kkt_get_rates()
        if len(rates) > 1 or False in rates:
            raise DocumentError('vat_rate', name=self._kkt_get_name())
        return int(rates.pop()) if rates else NOT_SUBJECT_TO_VAT

    def _kkt_get_signed_rate(self):
        """Tag 1199 as the signed receipt of this line stated it, 0 without one.

        Receipts of before didn't keep it, and had one item for each line that is no discount.
        """
        receipt = self.order_id.kkt_receipt_ids.filtered(
            lambda receipt: receipt.payload and receipt.operation_type == ('1' if self.qty > 0 else '2')
        )
        if not receipt:
            return self.kkt_vat_rate if self.kkt_vat_rate and self.order_id._kkt_get_corrections() else 0
        if self.kkt_vat_rate:
            return self.kkt_vat_rate
        lines = self.order_id._kkt_get_lines(receipt.operation_type).filtered(lambda line: line._kkt_get_total() >= 0)
        items = receipt._get_document()['items']
        return items[lines.ids.index(self.id)]['nds'] if self in lines and len(items) == len(lines) else 0
