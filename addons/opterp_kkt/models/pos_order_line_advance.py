from odoo import fields, models

from ..core.lines import ADVANCE, ADVANCES, FULL_SETTLEMENT, PART_PREPAYMENT, PAYMENT, PREPAYMENT

WALLETS = ('gift_card', 'ewallet')


class PosOrderLine(models.Model):
    """Advances on fiscal receipts (tag 1214): money taken for what is handed over later, set off when it is (tag 1215).

    They come from Odoo's own flows, each of which is there only with its module:

        pos_sale      A down payment of a sales order is an advance, a line for each group of taxes. When the order is settled the
                      line comes back with a negative quantity or price: neither discount nor return, but a payment.
        pos_loyalty   A gift card sold, or an e-wallet topped up, is an advance. What is spent of it comes as a reward line and is
                      a payment; other rewards are discounts.

    A product that is a payment by its own setting is an advance, too. A refund gives back what was signed.
    """

    _inherit = 'pos.order.line'

    kkt_settlement_method = fields.Integer("Settlement Method Stated", readonly=True, copy=False, help="Tag 1214.")

    def _kkt_get_set_off(self):
        """Kopecks of an advance that this line pays with; negative where they are given back, 0 of any other line."""
        if not (self.refunded_orderline_id or self)._kkt_is_set_off():
            return 0
        kopecks = abs(round(self.price_subtotal_incl * 100))
        return kopecks if self.qty * self.price_unit < 0 else -kopecks

    def _kkt_is_set_off(self):
        if 'reward_id' in self._fields and self.is_reward_line:
            return self.reward_id.program_id.program_type in WALLETS
        return self.qty * self.price_unit < 0 and not self.refunded_orderline_id and self._kkt_is_down_payment()

    def _kkt_is_down_payment(self):
        return (
            'sale_order_origin_id' in self._fields
            and bool(self.sale_order_origin_id)
            and (self.sale_order_line_id.is_downpayment or self.product_id == self.order_id.config_id.down_payment_product_id)
        )

    def _kkt_get_method(self):
        """Tag 1214, but for what is sold on credit, which the payments tell."""
        if origin := self.refunded_orderline_id:
            method = (origin._kkt_get_signed_rate() and origin.kkt_settlement_method) or origin._kkt_get_method()
            return method if method in ADVANCES else FULL_SETTLEMENT
        if self._kkt_is_down_payment():
            return self._kkt_get_prepayment()
        if self.product_id.product_tmpl_id.kkt_payment_subject == str(PAYMENT) or self._kkt_is_wallet_product():
            return ADVANCE
        return FULL_SETTLEMENT

    def _kkt_get_prepayment(self):
        """Whether the down payments of this order pay for all that was ordered, or for a part."""
        lines = self.order_id.lines.filtered(
            lambda line: (
                line.sale_order_origin_id == self.sale_order_origin_id
                and line._kkt_is_down_payment()
                and not line._kkt_is_set_off()
            )
        )
        ordered = round(self.sale_order_origin_id.amount_total * 100)
        return PREPAYMENT if sum(line._kkt_get_total() for line in lines) >= ordered else PART_PREPAYMENT

    def _kkt_is_wallet_product(self):
        return 'reward_id' in self._fields and bool(
            self.env['loyalty.rule']
            .with_context(active_test=False)
            .search_count([('program_id.program_type', 'in', WALLETS), ('product_ids', 'in', self.product_id.ids)], limit=1)
        )

    def _kkt_get_name(self):
        # A down payment is named after what was ordered at its rate
        line = self.refunded_orderline_id or self
        if not line._kkt_is_down_payment():
            return super()._kkt_get_name()
        ordered = line.sale_order_origin_id.order_line.filtered(
            lambda ordered: not ordered.display_type and not ordered.is_downpayment and ordered.tax_ids == line.tax_ids
        )
        names = ", ".join(ordered.product_id.mapped('name'))
        return self.env._("Advance: %s", names) if names else super()._kkt_get_name()
