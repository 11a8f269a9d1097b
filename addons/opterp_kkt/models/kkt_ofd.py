import re

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import NO_ACCESS

from ..transports import PROTOCOLS, Endpoint, Outcome, open_transport

ADDRESS = ('url', 'protocol')  # where a token goes
REACHED_BY = {*ADDRESS, 'token'}


class KktOfd(models.Model):
    """The operator that receives fiscal documents: where it is, how it is spoken to, what is done when it refuses.

    The token is written and never read back: `token` is a field to type into, `secret` is read by the delivery alone. It was
    given for one address: another address forgets it. Who may write an operator is said by the record rules.
    """
    _name = 'kkt.ofd'
    _description = "Fiscal Data Operator (OFD)"
    _inherit = ['mail.thread', 'mail.activity.mixin']

    name = fields.Char(required=True, tracking=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        'res.company', default=lambda self: self.env.company,
        help="Leave empty to share it between companies: then only system administrators change it.")
    protocol = fields.Selection(
        [(name, transport.label) for name, transport in PROTOCOLS.items()], required=True, default='http', tracking=True)
    url = fields.Char("URL", required=True, tracking=True, help="Documents are posted to URL/v1/documents.")
    token = fields.Char(
        compute='_compute_token',
        inverse='_inverse_token',
        groups='opterp_kkt.group_fiscal_admin',
        copy=False,
        help="Access token of the operator. It can be replaced, never read.",
    )
    secret = fields.Char(groups=NO_ACCESS, copy=False)
    has_token = fields.Boolean("Token Is Set", compute='_compute_has_token', compute_sudo=True)
    on_refusal = fields.Selection(
        [('go_on', "Go on with the next document"), ('hold', "Hold the register")],
        required=True,
        default='go_on',
        string="After a Refusal",
        tracking=True,
        help="What a register does after the operator has refused one of its documents for good.",
    )
    settings_version = fields.Integer(
        readonly=True, copy=False, default=0, required=True, help="Grows whenever it is to be reached in another way.")
    address_version = fields.Integer(readonly=True, copy=False, default=0, required=True, help="Grows with each new address.")
    former_of_id = fields.Many2one(
        'kkt.ofd', "Former Address of", readonly=True, copy=False, ondelete='restrict', index='btree_not_null',
        help="Documents that may have arrived there are asked for there, before they are sent to the new address.")
    former_version = fields.Integer(readonly=True, copy=False)
    paused_until = fields.Datetime(readonly=True, copy=False)
    pause_reason = fields.Text(readonly=True, copy=False)
    breaker_id = fields.Many2one('kkt.circuit.breaker', "Circuit Breaker", required=True, ondelete='restrict', copy=False)
    breaker_condition = fields.Selection(related='breaker_id.condition')
    register_ids = fields.One2many('kkt.register', 'ofd_id')

    def _compute_token(self):
        self.token = False

    def _inverse_token(self):
        for ofd in self.filtered('token'):
            if not re.fullmatch('[!-~]+', ofd.token):
                raise ValidationError(self.env._(
                    "A token has Latin letters, digits and signs only, no spaces and no line breaks. Please copy it again."))
            ofd.sudo().secret = ofd.token
        self.invalidate_recordset(['token'], flush=False)  # nor is it shown to who has just typed it

    @api.depends('secret')
    def _compute_has_token(self):
        for ofd in self:
            ofd.has_token = bool(ofd.secret)

    @api.constrains('url')
    def _check_url(self):
        for ofd in self:
            if not (ofd.url or '').startswith(('http://', 'https://')):
                raise ValidationError(self.env._("The URL of %(name)s must begin with http:// or https://.", name=ofd.name))

    @api.constrains('active')
    def _check_unused(self):
        """Nothing is sent to an archived operator, so its registers' documents would stand still."""
        for ofd in self.filtered(lambda ofd: not ofd.active):
            registers = ofd.sudo().with_context(active_test=False).register_ids
            used = registers.filtered(lambda register: register.active or register.pending_count)
            if used:
                raise UserError(self.env._(
                    "%(ofd)s can't be archived, because registers send their documents to it: %(registers)s. Choose another"
                    " operator for them first. To stop sending for a while, force its circuit breaker open.",
                    ofd=ofd.name, registers=", ".join(used.mapped('name'))))

    @api.constrains('company_id')
    def _check_company_of_registers(self):
        for ofd in self.filtered('company_id'):
            strangers = ofd.sudo().with_context(active_test=False).register_ids.filtered(
                lambda register: register.company_id != ofd.company_id)  # noqa: B023
            if strangers:
                raise ValidationError(self.env._(
                    "Registers of other companies send their documents to %(ofd)s: %(registers)s. Choose another operator for"
                    " them first.", ofd=ofd.name, registers=", ".join(strangers.mapped('name'))))

    @api.model_create_multi
    def create(self, vals_list):
        self.check_access('create')  # before anything is created with more rights
        for vals in vals_list:
            if not vals.get('breaker_id'):
                vals['breaker_id'] = self.env['kkt.circuit.breaker'].sudo().create({'name': vals.get('name')}).id
        return super().create(vals_list)

    def write(self, vals):
        """Whoever changes how the OFD is reached wants it tried at once, and nothing more sent as it was before."""
        if not REACHED_BY & set(vals):
            return super().write(vals)
        for ofd in self:
            moved = any(name in vals and vals[name] != ofd[name] for name in ADDRESS)
            if moved:
                ofd._keep_former()
            forgets = moved and ofd.has_token and not vals.get('token')
            super(KktOfd, ofd).write({
                **vals, 'paused_until': False, 'pause_reason': False, 'settings_version': ofd.settings_version + 1,
                'address_version': ofd.address_version + moved})
            if forgets:
                ofd._forget_token()
        self.breaker_id._touch()
        self.env['kkt.delivery']._forget_waits(self)
        return True

    def _keep_former(self):
        """Keep what was known of an address that is given up: what may have arrived there is settled there first."""
        if not self.with_context(active_test=False).register_ids:
            return
        former = self.sudo().copy({
            'name': self.env._("%(name)s, until %(date)s", name=self.name, date=fields.Date.context_today(self)),
            'active': False,
        })
        former.write({'secret': self.sudo().secret, 'former_of_id': self.id, 'former_version': self.address_version})

    def _forget_token(self):
        """The token was given for another address: whoever answers at this one is not to learn it."""
        self.sudo().secret = False
        self.message_post(body=self.env._(
            "The address was changed, so the token was forgotten. Type it in again, if it belongs to the new address."))

    @api.onchange(*ADDRESS)
    def _onchange_address(self):
        earlier = self._origin
        if earlier.has_token and not self.token and any(earlier[name] != self[name] for name in ADDRESS):
            return {'warning': {
                'type': 'notification',
                'title': self.env._("The token belongs to the earlier address"),
                'message': self.env._(
                    "Saving another address forgets it. Type the token in again, if it belongs to the new one."),
            }}

    def action_resume(self):
        """End a pause by hand."""
        self._check_may_operate()
        self.sudo().write({'paused_until': False, 'pause_reason': False})
        self.env['kkt.delivery']._forget_waits(self)

    def action_test_connection(self):
        """Ask the operator for a document that can't exist, and say in words how it answered."""
        self.ensure_one()
        self._check_may_operate()
        transport = open_transport(self.protocol, self._get_endpoint())
        self.env.cr.commit()  # no network call while this transaction is open  # pylint: disable=invalid-commit
        try:
            answer = transport.check()
        finally:
            transport.close()
        good = answer.outcome is Outcome.ABSENT
        return {
            'type': 'ir.actions.client',
            'tag': 'display_notification',
            'params': {
                'type': 'success' if good else 'danger',
                'title': self._describe(answer),
                'message': "" if good else answer.message,
                'sticky': not good,
            },
        }

    def _check_may_operate(self):
        """What changes no setting is open to the fiscal administrators of every company that uses the operator."""
        self.check_access('read')
        if not self.env.su and not self.env.user.has_group('opterp_kkt.group_fiscal_admin'):
            raise AccessError(self.env._("Only a fiscal administrator does this."))

    def _get_endpoint(self):
        secret = self.sudo().secret or ""
        return Endpoint(self.url, secret, self.env['kkt.delivery']._get_number('request_timeout'))

    def _describe(self, answer):
        """What an answer to a test means for the shop."""
        texts = {
            Outcome.ABSENT: self.env._("The operator answers and accepts our credentials"),
            Outcome.MISCONFIGURED: self.env._("The operator does not accept our credentials or does not know this address"),
            Outcome.THROTTLED: self.env._("The operator asks us to wait"),
            Outcome.UNAVAILABLE: self.env._("The operator can't be reached. Sales go on; receipts are kept and sent later"),
        }
        return texts.get(
            answer.outcome, self.env._("The operator gave no answer that makes sense. Receipts are kept and sent later"))
