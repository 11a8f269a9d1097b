from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..core import correction, text
from ..core.document_error import DocumentError
from ..core.lines import Item
from ..core.tags import TAGS
from .big_integer import BigIntegerJson
from .kkt_receipt import OPERATION_TYPES

ROLES = [
    ('reverse', "Takes a wrong receipt back"),
    ('right', "States what is right"),
    ('unregistered', "Settlement without the register"),
]
NAME_LENGTH = TAGS[1030].length
REASONS = [('0', "Own decision"), ('1', "Order of the tax office")]  # tag 1173


class KktCorrection(models.Model):
    """What a person stated for a correction receipt (document 31): the source that `kkt.receipt._issue` asks.

        settlement without the register     one correction: what was settled
        wrong receipt                       its reverse, then the right one; where nothing was settled, the reverse alone

    It is made together with its document, or not at all, and never changes. The order, its payments and the books stay as they
    are. PostgreSQL sees to it that a wrong receipt has one reverse and one right correction, the right one not without the
    reverse, and an order without receipt one correction.
    """

    _name = 'kkt.correction'
    _description = "Correction"
    _order = 'id DESC'

    register_id = fields.Many2one('kkt.register', required=True, readonly=True, ondelete='restrict')
    company_id = fields.Many2one(related='register_id.company_id')
    role = fields.Selection(ROLES, required=True, readonly=True)
    reason = fields.Selection(REASONS, required=True, readonly=True, default='0', help="Tag 1173.")
    settlement_day = fields.Date("Day of the Settlement", required=True, readonly=True, help="Tag 1178.")
    order_number = fields.Char("Number of the Tax Office's Order", readonly=True, help="Tag 1179.")
    operation_type = fields.Selection(OPERATION_TYPES, "Operation", required=True, readonly=True, help="Tag 1054.")
    statement = BigIntegerJson(
        readonly=True, help="Lines, payments, taxation system and contact as they were typed in; kopecks. Not of a reverse."
    )
    note = fields.Text("What Was Wrong", readonly=True)
    corrected_receipt_id = fields.Many2one('kkt.receipt', "Wrong Receipt", readonly=True, ondelete='restrict')
    reverse_id = fields.Many2one('kkt.correction', readonly=True, ondelete='restrict', index='btree_not_null')
    pos_order_id = fields.Many2one('pos.order', "Order", readonly=True, ondelete='restrict')
    receipt_ids = fields.One2many('kkt.receipt', 'correction_id', readonly=True)

    _once = models.UniqueIndex(
        "(corrected_receipt_id, role) WHERE corrected_receipt_id IS NOT NULL",
        "This receipt has been corrected already: it has one reverse and one right correction.",
    )
    _order_once = models.UniqueIndex(
        "(pos_order_id, operation_type) WHERE pos_order_id IS NOT NULL", "This order has its correction already."
    )
    _of_a_receipt = models.Constraint(
        "CHECK ((corrected_receipt_id IS NULL) = (role = 'unregistered') AND (reverse_id IS NULL) = (role <> 'right'))",
        "A reverse and a right correction belong to a wrong receipt, and the reverse comes first.",
    )
    _by_order = models.Constraint(
        "CHECK ((reason = '1') = (COALESCE(order_number, '') <> ''))",
        "Only an order of the tax office has a number.",
    )

    def write(self, vals):
        if vals:
            raise UserError(self.env._("A correction never changes. What is wrong in it is put right by another one."))
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Corrections are never deleted: the law asks to keep them."))

    def _issue(self):
        """Have the register number and sign it: a correction without its document is none."""
        for each in self:
            receipt = self.env['kkt.receipt']._issue(each.register_id, 'correction', each, each.operation_type)
            if not receipt.payload:
                raise UserError(receipt.last_error)
            each._keep_lines()
        self.env['kkt.delivery']._wake()

    def _keep_lines(self):
        """A later refund of the order states what its correction has stated.

        Lines are found by their names; one that was renamed was another thing.
        """
        if self.role == 'reverse':
            return
        stated = {text.fit(item.name, NAME_LENGTH): item for item in self._get_items()}
        order = self.pos_order_id or self.corrected_receipt_id._get_corrected_order()
        for line in order.sudo()._kkt_get_lines(self.operation_type):
            if item := stated.get(text.fit(line._kkt_get_name(), NAME_LENGTH)):
                line._kkt_keep([item])

    # -- what its document states ------------------------------------------------------------------------------------------

    def _kkt_get_register(self):
        return self.register_id

    def _kkt_get_references(self, operation_type):
        return {'correction_id': self.id, 'corrected_receipt_id': self.corrected_receipt_id.id}

    def _kkt_get_stamps(self):
        """It is later than what it corrects, and than what took that back."""
        return (self.corrected_receipt_id | self.reverse_id.receipt_ids)._get_stamps(), None

    def _kkt_get_body(self, register, operation_type):
        """The document without what the register adds.

        :raises DocumentError: what is wrong with what was typed in, or with what it is about
        """
        register.invalidate_recordset()  # write another fiscal drive, just put in; forget what an earlier transaction read
        self._check_register(register)
        wrong, order = self.corrected_receipt_id, self.pos_order_id
        if wrong:
            wrong._check_correctable(self)
        if order:
            order._kkt_check_correctable(self)
        document = wrong._get_signed_document() if wrong else {}
        cause = correction.Cause(self.reason == '1', self.settlement_day, self.order_number or '', wrong.fiscal_sign or '')
        head = {'operator': self.env.user.name, **register._get_head_values()}
        if self.role == 'reverse':
            stated = {name: document[name] for name in ('buyerPhoneOrAddress', 'sellerAddress') if name in document}
            contacts = {**register._get_contact_values(None, None), **stated}
            return correction.mirror(document, {**head, **contacts}, cause, register._get_day())
        head.update(appliedTaxationType=int(self.statement['taxation_system']), **self._get_contact_values(register))
        return correction.correction(
            int(operation_type), self._get_items(), self.statement['paid'], head, cause, register._get_day()
        )

    def _check_register(self, register):
        company = register.company_id
        if not register.active:
            raise DocumentError('correction_register', register=register.name)
        if company.currency_id.name != 'RUB':
            raise DocumentError('currency', currency=company.currency_id.name)
        register._check_inn()

    def _get_contact_values(self, register):
        contact = self.statement['contact']
        values = register._get_contact_values(contact, contact)
        if contact and not values:
            raise DocumentError('contact', field=1008, contact=contact)
        return values

    def _get_items(self):
        return [Item(**{**line, 'quantity': Decimal(line['quantity'])}) for line in self.statement['lines']]
