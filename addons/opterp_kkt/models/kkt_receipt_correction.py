from datetime import UTC, datetime

from odoo import fields, models
from odoo.exceptions import AccessError, UserError

from ..core import correction
from ..core.document_error import DocumentError
from ..core.rules import PAYMENT_FORMS
from .kkt_receipt import SETTLEMENTS


class KktReceipt(models.Model):
    """A document that was wrong, and those that put it right.

    A correction can be wrong, too, and is then corrected like a receipt; a reverse only repeats what it takes back.
    """

    _inherit = 'kkt.receipt'

    correction_id = fields.Many2one('kkt.correction', readonly=True, ondelete='restrict')
    corrected_receipt_id = fields.Many2one(
        'kkt.receipt', "Corrects", readonly=True, ondelete='restrict', index='btree_not_null', help="Tag 1192 has its sign."
    )
    correcting_receipt_ids = fields.One2many('kkt.receipt', 'corrected_receipt_id', "Corrected by", readonly=True)
    correction_role = fields.Selection(related='correction_id.role', string="What It Does")
    correction_reason = fields.Selection(related='correction_id.reason', string="Reason")
    correction_settlement_day = fields.Date("Day of the Settlement", related='correction_id.settlement_day')
    correction_order_number = fields.Char("Order of the Tax Office", related='correction_id.order_number')
    correction_note = fields.Text("What Was Wrong", related='correction_id.note')
    correction_pos_order_id = fields.Many2one('pos.order', "Order without Receipt", related='correction_id.pos_order_id')
    may_be_corrected = fields.Boolean(compute='_compute_may_be_corrected')

    _correction_uniq = models.UniqueIndex("(correction_id) WHERE correction_id IS NOT NULL", "A correction has one document.")
    _of_a_correction = models.Constraint(
        "CHECK ((document_type = 'correction') = (correction_id IS NOT NULL))", "A correction receipt has its correction."
    )

    def _compute_may_be_corrected(self):
        for receipt in self:
            receipt.may_be_corrected = receipt._is_correctable() and 'right' not in receipt._get_given_roles()

    def _is_correctable(self):
        return bool(
            self.document_type in SETTLEMENTS
            and self.fd_number
            and self.fiscal_sign
            and self.correction_id.sudo().role != 'reverse'
        )

    def _get_given_roles(self):
        return self.sudo().correcting_receipt_ids.mapped('correction_role')

    def _get_source(self):
        return self.correction_id or super()._get_source()

    def _issue_after_all(self):
        # What a correction states already is not stated once more
        corrections = self.pos_order_id._kkt_get_corrections().filtered(lambda each: each.operation_type == self.operation_type)
        if corrections:
            raise UserError(
                self.env._(
                    "%(order)s has %(document)s already: a receipt beside it would state the same sale twice.",
                    order=self.pos_order_id.display_name,
                    document=corrections.receipt_ids.display_name,
                )
            )
        return super()._issue_after_all()

    def _check_may_correct(self):
        self.check_access('read')
        if not (self.env.su or self.env.user.has_group('opterp_kkt.group_fiscal_admin')):
            raise AccessError(self.env._("Only a fiscal administrator makes correction receipts."))

    def _check_correctable(self, planned):
        """:raises DocumentError: this document can't be what that correction corrects"""
        names = {'document': self.display_name}
        if self.register_id.company_id != planned.register_id.company_id:
            raise DocumentError('correction_company', own=self.company_id.name, register=planned.register_id.name, **names)
        if not self.fd_number or not self.fiscal_sign:
            raise DocumentError('not_numbered', **names)
        if not self._is_correctable():
            raise DocumentError('not_correctable', **names)
        if planned.role in self._get_given_roles():
            raise DocumentError('corrected_already', **names)
        if planned.settlement_day and planned.settlement_day != self._get_settlement_day():
            raise DocumentError('day_of_receipt', field=1178, day=self._get_settlement_day(), **names)

    def _get_settlement_day(self):
        """The day that a correction of this document names: that of the settlement, not of an earlier correction."""
        document = self._get_signed_document()
        seconds = document.get('correctionBase', {}).get('correctionDocumentDate', document['dateTime'])
        return datetime.fromtimestamp(seconds, UTC).date()

    def _get_corrected_order(self):
        """The order that a chain of corrections began with."""
        first = self
        while first.corrected_receipt_id:
            first = first.corrected_receipt_id
        return first.pos_order_id or first.correction_id.pos_order_id

    # -- the dialog --------------------------------------------------------------------------------------------------------

    def action_correct(self):
        """Open the dialog that takes this document back and states what is right."""
        self.ensure_one()
        self._check_may_correct()
        return self.env['kkt.correction.draft']._start(self.sudo()._get_correction_values())

    def _get_correction_values(self):
        """What the dialog begins with: what this document states."""
        given = self._get_given_roles()
        if not self.fd_number or not self._is_correctable() or 'right' in given:
            self.env['kkt.correction.draft']._refuse(self._get_obstacle(given))
        document = self._get_signed_document()
        register = self.register_id
        return {
            'corrected_receipt_id': self.id,
            'register_id': (register if register.active else register._get_substitute()).id,
            'settlement_day': self._get_settlement_day(),
            'operation_type': self.operation_type,
            'taxation_system': str(document.get('appliedTaxationType', register.taxation_system)),
            'contact': document.get('buyerPhoneOrAddress'),
            'line_ids': [fields.Command.create(_get_line_values(item)) for item in document['items']],
            **{f'paid_{form}': document.get(name, 0) / 100 for form, name in PAYMENT_FORMS.items()},
        }

    def _get_obstacle(self, given):
        code = 'corrected_already' if 'right' in given else 'not_correctable' if self.fd_number else 'not_numbered'
        return DocumentError(code, document=self.display_name)


def _get_line_values(item):
    item = correction.complete(item)
    return {
        'name': item.get('name'),
        'quantity': item['quantity'],
        'total': item['sum'] / 100,
        'vat_rate': str(item['nds']),
        'subject': str(item['productType']),
        'measure': item['itemsQuantityMeasure'],
        'method': str(correction.stated_method(item)),
    }
