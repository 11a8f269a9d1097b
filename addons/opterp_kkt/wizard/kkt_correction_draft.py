from contextlib import contextmanager

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..core import correction
from ..core.document_error import DocumentError
from ..core.rules import PAYMENT_FORMS
from ..models.kkt_correction import REASONS
from ..models.kkt_receipt import OPERATION_TYPES
from ..models.kkt_register import TAXATION_SYSTEMS

STEPS = [('cause', "Grounds"), ('content', "What Is Right"), ('paper', "Check and Sign")]
PAID = [f'paid_{form}' for form in PAYMENT_FORMS]


class KktCorrectionDraft(models.TransientModel):
    """The dialog that makes correction receipts: why, what is right, and the papers, before anything is numbered.

    A wrong receipt is taken back and put right in one go, so that none is left taken back by accident. Each step checks what is
    known so far by building the documents that will be signed; `action_sign` alone has them numbered.
    """

    _name = 'kkt.correction.draft'
    _description = "Correction to Be Signed"

    step = fields.Selection(STEPS, required=True, default='cause')
    corrected_receipt_id = fields.Many2one('kkt.receipt', "Wrong Receipt", readonly=True)
    pos_order_id = fields.Many2one('pos.order', "Order", readonly=True)
    register_id = fields.Many2one('kkt.register', required=True, domain="[('company_id', '=', company_id)]")
    company_id = fields.Many2one('res.company', compute='_compute_company_id')
    currency_id = fields.Many2one(related='company_id.currency_id')
    takes_back = fields.Boolean(compute='_compute_takes_back')
    puts_right = fields.Boolean(
        "State What Is Right",
        default=True,
        help="Not where nothing was settled at all, as with a receipt that was made twice.",
    )
    reason = fields.Selection(REASONS, required=True, default='0', help="Tag 1173.")
    order_number = fields.Char("Number of the Tax Office's Order", help="Tag 1179.")
    settlement_day = fields.Date("Day of the Settlement", help="Tag 1178: when goods and money changed hands.")
    note = fields.Text(
        "What Was Wrong", help="For the tax inspector, and for whoever asks later. It does not stand on the receipt."
    )
    operation_type = fields.Selection(OPERATION_TYPES, "Operation", required=True, default='1', help="Tag 1054.")
    taxation_system = fields.Selection(TAXATION_SYSTEMS, required=True, default='1', help="Tag 1055.")
    contact = fields.Char("Buyer's E-mail or Phone", help="Tag 1008.")
    line_ids = fields.One2many('kkt.correction.draft.line', 'draft_id', "Lines")
    paid_cash = fields.Monetary("Cash")
    paid_ecash = fields.Monetary("Non-cash")
    paid_prepaid = fields.Monetary("Advance set off")
    paid_credit = fields.Monetary("On credit")
    paid_provision = fields.Monetary("In kind")
    lines_total = fields.Monetary("Lines Together", compute='_compute_totals')
    paid_total = fields.Monetary("Payments Together", compute='_compute_totals')
    is_before_drive = fields.Boolean(compute='_compute_is_before_drive')
    is_refused = fields.Boolean(compute='_compute_is_refused')
    marks_handled = fields.Boolean("Mark the Refused Receipt as Handled", default=True)
    paper = fields.Html("What Will Be Signed", compute='_compute_paper', sanitize=False)

    @api.depends('register_id', 'corrected_receipt_id', 'pos_order_id')
    def _compute_company_id(self):
        for draft in self:
            draft.company_id = (draft.corrected_receipt_id or draft.pos_order_id or draft.register_id).company_id

    @api.depends('corrected_receipt_id')
    def _compute_takes_back(self):
        for draft in self:
            wrong = draft.corrected_receipt_id
            draft.takes_back = bool(wrong) and 'reverse' not in wrong._get_given_roles()

    @api.depends('line_ids.total', *PAID)
    def _compute_totals(self):
        for draft in self:
            draft.lines_total = sum(draft.line_ids.mapped('total'))
            draft.paid_total = sum(draft[name] for name in PAID)

    @api.depends('register_id', 'settlement_day', 'corrected_receipt_id')
    def _compute_is_before_drive(self):
        for draft in self:
            day, register = draft.settlement_day, draft.register_id
            typed = day and register and not draft.corrected_receipt_id
            draft.is_before_drive = bool(typed) and day < register._get_first_day()

    @api.depends('corrected_receipt_id')
    def _compute_is_refused(self):
        for draft in self:
            wrong = draft.corrected_receipt_id
            draft.is_refused = wrong.state == 'rejected' and not wrong.handled_at

    @api.depends('step')
    def _compute_paper(self):
        for draft in self:
            draft.paper = draft.step == 'paper' and draft._get_papers()

    # -- the steps ---------------------------------------------------------------------------------------------------------

    @api.model
    def _start(self, values):
        return self.create(values)._show('cause')

    def _show(self, step):
        self.step = step
        return {
            'type': 'ir.actions.act_window',
            'name': self.env._("Correction Receipt"),
            'res_model': self._name,
            'res_id': self.id,
            'view_mode': 'form',
            'target': 'new',
            'context': {'dialog_size': 'extra-large'},
        }

    def action_next(self):
        self._check_may_correct()
        with self._explained():
            self._get_cause().check(self.register_id._get_day())
        if self.step == 'cause' and self._states():
            return self._show('content')
        self._build()
        return self._show('paper')

    def action_back(self):
        self._check_may_correct()
        return self._show('content' if self.step == 'paper' and self._states() else 'cause')

    def action_sign(self):
        """Have it numbered and signed, all of it or nothing."""
        self._check_may_correct()
        self.register_id._await_sale()
        self.env.invalidate_all()  # what it has changed is read anew
        self._build()
        corrections = self.env['kkt.correction'].sudo()
        for values in self._get_corrections():
            corrections |= self._sign(values)
        documents = corrections.receipt_ids
        if self.is_refused and self.marks_handled:
            self.corrected_receipt_id._handle(
                self.env._("Put right by: %s", ", ".join(documents.sorted('fd_number').mapped('display_name')))
            )
        return self._open(documents)

    def _sign(self, values):
        reverse = self.env['kkt.correction']
        if values['role'] == 'right':
            domain = [('corrected_receipt_id', '=', self.corrected_receipt_id.id), ('role', '=', 'reverse')]
            reverse = reverse.sudo().search(domain)
        signed = reverse.sudo().create({**values, 'reverse_id': reverse.id})
        signed._issue()
        return signed

    def _open(self, documents):
        action = self.env['ir.actions.act_window']._for_xml_id('opterp_kkt.kkt_correction_action')
        if len(documents) > 1:
            return {**action, 'domain': [('id', 'in', documents.ids)]}
        return {**action, 'res_id': documents.id, 'views': [(False, 'form')]}

    def _check_may_correct(self):
        """What a browser sends is untrusted: which register, receipt and order it names, too."""
        self.ensure_one()
        self.env['kkt.receipt']._check_may_correct()
        for records in (self.register_id, self.corrected_receipt_id, self.pos_order_id):
            records.check_access('read')

    # -- what will be signed -----------------------------------------------------------------------------------------------

    def _states(self):
        """Whether there is a document that states what is right; of what was not registered, or is taken back already, always."""
        return self.puts_right or not self.takes_back

    def _get_cause(self):
        return correction.Cause(self.reason == '1', self.settlement_day, self.order_number or '')

    def _get_corrections(self):
        """Values of the corrections, in the order in which they are numbered."""
        wrong = self.corrected_receipt_id
        common = {
            'register_id': self.register_id.id,
            'corrected_receipt_id': wrong.id,
            'reason': self.reason,
            'order_number': (self.order_number or '').strip(),
            'settlement_day': self.settlement_day,
            'note': self.note,
        }
        planned = []
        if self.takes_back:
            mirrored = correction.MIRRORED[int(wrong.operation_type)]
            planned.append({**common, 'role': 'reverse', 'operation_type': str(mirrored)})
        if self._states():
            planned.append(
                {
                    **common,
                    'role': 'right' if wrong else 'unregistered',
                    'pos_order_id': self.pos_order_id.id,
                    'operation_type': self.operation_type,
                    'statement': self._get_statement(),
                }
            )
        return planned

    def _get_statement(self):
        return {
            'lines': [line._get_statement() for line in self.line_ids],
            'paid': {form: round(100 * self[f'paid_{form}']) for form in PAYMENT_FORMS if self[f'paid_{form}']},
            'taxation_system': self.taxation_system,
            'contact': (self.contact or '').strip(),
        }

    def _build(self):
        """The documents as they would be signed.

        :raises UserError: what is wrong, and where
        """
        planned = [self.env['kkt.correction'].sudo().new(values) for values in self._get_corrections()]
        with self._explained():
            return [each._kkt_get_body(each.register_id, each.operation_type) for each in planned]

    def _get_papers(self):
        try:
            bodies = self._build()
        except UserError as error:
            return Markup('<p class="text-danger">%s</p>') % error.args[0]
        slips = [self.env['kkt.receipt']._get_draft_slip(body, self.register_id.sudo()) for body in bodies]
        return Markup('<div class="d-flex flex-wrap gap-4">%s</div>') % Markup().join(
            Markup('<div>%s</div>') % slip for slip in slips
        )

    @contextmanager
    def _explained(self):
        try:
            yield
        except DocumentError as error:
            self._refuse(error)

    @api.model
    def _refuse(self, error):
        raise UserError(self.env['kkt.explanation']._explain_in_correction(error)) from error
