from datetime import UTC, datetime

from odoo import api, fields, models
from odoo.tools import format_datetime
from odoo.tools.sql import column_exists, create_column, table_exists

from ..core.ffd import MONEY_GOES_OUT

# What was there before these columns were, in one statement: a shop has millions of receipts.
FILL = f"""
    UPDATE kkt_receipt r
       SET amount_signed = CASE WHEN operation_type::int IN {MONEY_GOES_OUT} THEN -1 ELSE 1 END * COALESCE(total, 0) / 100.0,
           cashier = (SELECT p.name FROM pos_order o JOIN res_users u ON u.id = o.user_id
                        JOIN res_partner p ON p.id = u.partner_id WHERE o.id = r.pos_order_id)
"""


class KktReceipt(models.Model):
    """How documents are found, grouped and summed, and how their stamps read.

    Sums are signed: a day, a till or a cashier adds up to what was taken, as a session does.
    """

    _inherit = 'kkt.receipt'

    currency_id = fields.Many2one(related='company_id.currency_id')
    amount_total = fields.Monetary("Total", compute='_compute_amount_total')
    amount_signed = fields.Monetary("Sum", readonly=True, help="What a refund gives back is subtracted, so that sums add up.")
    till_id = fields.Many2one(related='register_id.pos_config_id', string="Till")
    session_id = fields.Many2one(related='pos_order_id.session_id')
    cashier = fields.Char(readonly=True, help="Tag 1021.")
    hlc = fields.Char("HLC", compute='_compute_hlc')
    hlc_text = fields.Char("Stamp", compute='_compute_hlc_text')

    def _auto_init(self):
        if table_exists(self.env.cr, self._table) and not column_exists(self.env.cr, self._table, 'amount_signed'):
            create_column(self.env.cr, self._table, 'amount_signed', 'numeric')
            create_column(self.env.cr, self._table, 'cashier', 'varchar')
            self.env.cr.execute(FILL)
        return super()._auto_init()

    @api.depends('total')
    def _compute_amount_total(self):
        for receipt in self:
            receipt.amount_total = receipt.total / 100

    @api.depends('hlc_local_time', 'hlc_logical_counter', 'hlc_node')
    def _compute_hlc(self):
        for receipt in self:
            moment = datetime.fromtimestamp(receipt.hlc_local_time / 1000, UTC)
            receipt.hlc = (
                f"{moment:%Y-%m-%d %H:%M:%S}.{receipt.hlc_local_time % 1000:03d}Z"
                f" +{receipt.hlc_logical_counter} {receipt.hlc_node}"
                if receipt.hlc_node
                else False
            )

    @api.depends('hlc_local_time', 'hlc_logical_counter', 'create_date')
    @api.depends_context('lang', 'tz')
    def _compute_hlc_text(self):
        """The stamp in the reader's time, and how far it is from the clock on the wall when the document was made."""
        for receipt in self:
            receipt.hlc_text = bool(receipt.hlc_node) and receipt._describe_stamp()

    def _describe_stamp(self):
        moment = datetime.fromtimestamp(self.hlc_local_time // 1000, UTC).replace(tzinfo=None)
        seconds = self.hlc_local_time / 1000 - self.create_date.replace(tzinfo=UTC).timestamp()
        values = {
            'time': f"{format_datetime(self.env, moment, dt_format='dd.MM.yyyy HH:mm:ss')}.{self.hlc_local_time % 1000:03d}",
            'counter': self.hlc_logical_counter,
            'seconds': f"{abs(seconds):.1f}",
        }
        if abs(seconds) < 1:
            return self.env._("%(time)s, counter %(counter)s: as the clock on the wall", **values)
        if seconds > 0:
            return self.env._("%(time)s, counter %(counter)s: %(seconds)s s ahead of the clock on the wall", **values)
        return self.env._("%(time)s, counter %(counter)s: %(seconds)s s behind the clock on the wall", **values)
