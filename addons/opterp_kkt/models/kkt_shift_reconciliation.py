from markupsafe import Markup

from odoo import api, fields, models

from ..core.reconciliation import Order, reconcile, stated

# Of all that its sessions were paid, and of the orders that its documents are about.
PAYMENTS = """
    SELECT o.id, o.session_id = ANY(%(sessions)s), p.payment_method_id, round(100 * sum(p.amount))::bigint
      FROM pos_order o JOIN pos_payment p ON p.pos_order_id = o.id
     WHERE (o.session_id = ANY(%(sessions)s) OR o.id = ANY(%(orders)s)) AND o.state NOT IN ('draft', 'cancel')
     GROUP BY o.id, p.payment_method_id
"""
SHOWN = 20  # orders by name for each cause of a difference
NUMBER = Markup('<td class="text-end">%s</td>')
ROW = Markup('<tr class="%s"><td>%s</td>%s%s%s</tr>')
CAUSE = Markup('<tr class="text-danger"><td colspan="3" class="ps-4">%s: %s</td><td class="text-end">%s</td></tr>')
LINK = Markup('<a href="/odoo/%s/%s">%s</a>')
TABLE = Markup(
    '<table class="table table-sm"><thead><tr><th>%s</th><th class="text-end">%s</th><th class="text-end">%s</th>'
    '<th class="text-end">%s</th></tr></thead>%s</table>'
)


class KktShift(models.Model):
    """A shift beside the sessions of its point of sale: what they were paid, and what its documents state.

    Usually that is the same. An order whose receipt was not built, one that arrived from another session, a shift that was
    renewed in the middle of a session, a correction: each makes a difference, and stands here with it. Nothing is stored, and
    what is read are the orders of these sessions and the documents of this shift.
    """

    _inherit = 'kkt.shift'

    session_ids = fields.Many2many('pos.session', string="Sessions", readonly=True, help="Sessions that were open meanwhile.")
    reconciliation_table = fields.Html("Reconciliation", compute='_compute_reconciliation_table', sanitize=False)

    def _take_sessions(self):
        """Note which sessions of the point of sale are open."""
        for record in self:
            sessions = self.env['pos.session'].search(
                [('config_id', '=', record.register_id.pos_config_id.id), ('state', '!=', 'closed')]
            )
            record.session_ids = [fields.Command.link(session.id) for session in sessions]

    @api.depends('session_ids', 'document_ids')
    @api.depends_context('lang')
    def _compute_reconciliation_table(self):
        for record in self:
            record.reconciliation_table = TABLE % (
                self.env._("Payment Method"),
                self.env._("Session"),
                self.env._("Shift"),
                self.env._("Difference"),
                Markup().join(record.sudo()._get_reconciliation_rows()),
            )

    def _get_reconciliation_rows(self):
        orders = self._get_reconciled_orders()
        for place, row in reconcile(orders, self._get_payment_forms(orders)).items():
            numbers = (NUMBER % self._get_amount(kopecks) for kopecks in (row.session, row.shift, row.difference))
            yield ROW % ("fw-bolder" if row.differences else "", self._get_place_name(place), *numbers)
            for cause, records in self._group_by_cause(row.differences, orders).items():
                total = sum(row.differences[record] for record in records)
                yield CAUSE % (cause, self._get_names(records), self._get_amount(total))

    def _get_reconciled_orders(self):
        """By record: orders, and the corrections that are about none."""
        signed, documents = self._get_signed_documents(), {}
        for receipt in self.env['kkt.receipt'].browse(signed):
            documents.setdefault(receipt._get_corrected_order() or receipt, []).append(signed[receipt.id])
        paid = self._get_paid([source.id for source in documents if source._name == 'pos.order'])
        return {
            source: Order(*paid.get(source, ({}, False)), stated(documents[source]) if source in documents else {})
            for source in {**documents, **paid}
        }

    def _get_paid(self, order_ids):
        """By order: kopecks by payment method, and whether it belongs to the shift's sessions."""
        self.env['pos.payment'].flush_model()
        self.env['pos.order'].flush_model(['session_id', 'state'])
        self.env.cr.execute(PAYMENTS, {'sessions': self.session_ids.ids, 'orders': order_ids})
        rows = self.env.cr.fetchall()
        orders = {order.id: order for order in self.env['pos.order'].browse({row[0] for row in rows})}
        paid = {}
        for order_id, is_theirs, method_id, kopecks in rows:
            paid.setdefault(orders[order_id], ({}, is_theirs))[0][method_id] = kopecks
        return paid

    def _get_payment_forms(self, orders):
        used = {method_id for order in orders.values() for method_id in order.paid}
        methods = self.session_ids.payment_method_ids | self.env['pos.payment.method'].browse(used)
        return {method.id: method.kkt_payment_form for method in methods.sorted()}

    # -- in words ----------------------------------------------------------------------------------------------------------

    def _group_by_cause(self, records, orders):
        causes = {}
        for record in records:
            causes.setdefault(self._get_cause(record, orders[record]), []).append(record)
        return causes

    def _get_cause(self, record, order):
        """Why documents and payments of an order differ."""
        receipts = record.kkt_receipt_ids if record._name == 'pos.order' else record.browse()
        if order.stated and self not in receipts.shift_id:
            return self.env._("Correction")
        if receipts and not all(receipts.mapped('payload')):
            return self.env._("Rejected, not built")
        if not receipts:
            return self.env._("No fiscal receipt")
        if not order.stated:
            return self.env._("In another shift")
        return self.env._("Stated otherwise than paid") if order.in_session else self.env._("Order of another session")

    def _get_place_name(self, place):
        if isinstance(place, int):
            return self.env['pos.payment.method'].browse(place).name
        forms = dict(self.env['pos.payment.method']._fields['kkt_payment_form']._description_selection(self.env))
        return self.env._("%s, by no payment method", forms[place])

    @api.model
    def _get_names(self, records):
        names = Markup(", ").join(LINK % (record._name, record.id, record.display_name) for record in records[:SHOWN])
        return names + self.env._(" and %s more", len(records) - SHOWN) if len(records) > SHOWN else names

    @api.model
    def _get_amount(self, kopecks):
        return f"{kopecks / 100:.2f}"
