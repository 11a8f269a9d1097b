from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from ..transports import PROTOCOLS, Endpoint, Outcome, open_transport

KEPT = {
    'address_version',
    'answered_at',
    'breaker_id',
    'credentials',
    'former_of_id',
    'former_version',
    'pause_reason',
    'paused_until',
    'settings_version',
}
ADDRESS = ('url', 'protocol')  # where credentials go


class KktOfd(models.Model):
    """The OFD that receives fiscal documents: where it is, how it is spoken to, what is done when it refuses.

    Its credentials stand in `kkt_ofd_credentials.py`. Who may write an OFD is said by the record rules.
    """

    _name = 'kkt.ofd'
    _description = "Fiscal Data Operator (OFD)"
    _inherit = ['mail.thread', 'mail.activity.mixin']

    name = fields.Char(required=True, tracking=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        'res.company',
        default=lambda self: self.env.company,
        help="Leave empty to share it between companies: then only system administrators change it.",
    )
    protocol = fields.Selection(
        [(name, transport.label) for name, transport in PROTOCOLS.items()], required=True, default='http', tracking=True
    )
    url = fields.Char(
        "URL",
        required=True,
        tracking=True,
        help="Without the path that the protocol adds: HTTP posts documents to URL/v1/documents, the web server of the ATOL"
        " driver takes them at URL/api/v2/requests, mostly on port 16732 of the computer that the register is connected to, ATOL"
        " Online at URL/GROUP/sell: https://online.atol.ru/possystem/v5, or https://testonline.atol.ru/possystem/v5 for tests,"
        " OrangeData at URL/documents: https://api.orangedata.ru:12003/api/v2, or https://apip.orangedata.ru:2443/api/v2 for"
        " tests."
        " The OFD's own protocol has an address like tcp://ofd.example:7777.",
    )
    on_refusal = fields.Selection(
        [('go_on', "Go on with the next document"), ('hold', "Hold the register")],
        required=True,
        default='go_on',
        string="After a Refusal",
        tracking=True,
        help="What a register does after the OFD has refused one of its documents for good.",
    )
    settings_version = fields.Integer(
        readonly=True, copy=False, default=0, required=True, help="Grows whenever it is to be reached in another way."
    )
    address_version = fields.Integer(readonly=True, copy=False, default=0, required=True, help="Grows with each new address.")
    former_of_id = fields.Many2one(
        'kkt.ofd',
        "Former Address of",
        readonly=True,
        copy=False,
        ondelete='restrict',
        index='btree_not_null',
        help="Documents that may have arrived there are asked for there, before they are sent to the new address.",
    )
    former_version = fields.Integer(readonly=True, copy=False)
    paused_until = fields.Datetime(readonly=True, copy=False)
    pause_reason = fields.Text(readonly=True, copy=False)
    answered_at = fields.Datetime(
        "Last Test Passed",
        readonly=True,
        copy=False,
        help="When it answered as an OFD that accepts us. Forgotten when address or credentials change.",
    )
    breaker_id = fields.Many2one('kkt.circuit.breaker', "Circuit Breaker", required=True, ondelete='restrict', copy=False)
    breaker_condition = fields.Selection(related='breaker_id.condition')
    register_ids = fields.One2many('kkt.register', 'ofd_id')

    _former_uniq = models.UniqueIndex(
        "(former_of_id, former_version) WHERE former_of_id IS NOT NULL", "This former address is kept already."
    )

    @api.constrains('url', 'protocol')
    def _check_url(self):
        for ofd in self:
            schemes = PROTOCOLS[ofd.protocol].schemes
            if not (ofd.url or '').startswith(schemes):
                raise ValidationError(
                    self.env._(
                        "The URL of %(name)s must begin with %(schemes)s.",
                        name=ofd.name,
                        schemes=", ".join(schemes),
                    )
                )

    @api.constrains('active')
    def _check_unused(self):
        """Nothing is sent to an archived OFD, so its registers' documents would stand still."""
        for ofd in self.filtered(lambda ofd: not ofd.active):
            registers = ofd.sudo().with_context(active_test=False).register_ids
            used = registers.filtered(lambda register: register.active or register.pending_count)
            if used:
                raise UserError(
                    self.env._(
                        "%(ofd)s can't be archived, because registers send their documents to it: %(registers)s. Choose another"
                        " OFD for them first. To stop sending for a while, force its circuit breaker open.",
                        ofd=ofd.name,
                        registers=", ".join(used.mapped('name')),
                    )
                )

    @api.constrains('company_id')
    def _check_company_of_registers(self):
        for ofd in self.filtered('company_id'):
            strangers = (
                ofd.sudo()
                .with_context(active_test=False)
                .register_ids.filtered(lambda register: register.company_id != ofd.company_id)  # noqa: B023
            )
            if strangers:
                raise ValidationError(
                    self.env._(
                        "Registers of other companies send their documents to %(ofd)s: %(registers)s. Choose another OFD for"
                        " them first.",
                        ofd=ofd.name,
                        registers=", ".join(strangers.mapped('name')),
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        self.check_access('create')  # before anything is created with more rights
        for vals in vals_list:
            self._check_kept(vals)
        return super().create([{'breaker_id': self._create_breaker(vals), **vals} for vals in vals_list])

    def _create_breaker(self, vals):
        return vals.get('breaker_id') or self.env['kkt.circuit.breaker'].sudo().create({'name': vals.get('name')}).id

    def _check_kept(self, vals):
        """What is kept about an OFD decides where documents go, also those of others: nobody writes it by hand."""
        if KEPT & set(vals) and not self.env.su:
            raise AccessError(self.env._("This is kept about an OFD, not written: %s.", ", ".join(sorted(KEPT & set(vals)))))

    def write(self, vals):
        """Whoever changes how the OFD is reached wants it tried at once, and nothing more sent as it was before."""
        self._check_kept(vals)
        if not {*ADDRESS, 'calls_back', *self._get_credential_names()} & set(vals):
            return super().write(vals)
        for ofd in self:
            moved = any(name in vals and vals[name] != ofd[name] for name in ADDRESS)
            if moved:
                ofd._keep_former()
                ofd._forget_credentials(vals)
            super(KktOfd, ofd).write(
                {
                    **vals,
                    'paused_until': False,
                    'pause_reason': False,
                    'answered_at': False,
                    'settings_version': ofd.settings_version + 1,
                    'address_version': ofd.address_version + moved,
                }
            )
        self.breaker_id._touch()
        self.env['kkt.delivery']._forget_waits(self)
        return True

    def _keep_former(self):
        """Keep what was known of an address that is given up: what may have arrived there is settled there first."""
        if not self.with_context(active_test=False).register_ids:
            return
        former = self.sudo().copy(
            {
                'name': self.env._("%(name)s, until %(date)s", name=self.name, date=fields.Date.context_today(self)),
                'active': False,
            }
        )
        former.write({'credentials': self.sudo().credentials, 'former_of_id': self.id, 'former_version': self.address_version})

    def action_resume(self):
        """End a pause by hand."""
        self._check_may_operate()
        self.sudo().write({'paused_until': False, 'pause_reason': False})
        self.env['kkt.delivery']._forget_waits(self)

    def action_test_connection(self):
        """Ask the OFD for a document that can't exist, and say in words how it answered."""
        answer = self._check_connection()
        good = answer.outcome is Outcome.ABSENT
        self.sudo().answered_at = good and self.env.cr.now()
        if answer.device:
            self.sudo().register_ids._learn_of_drive(answer.device)
        return {
            'type': 'ir.actions.client',
            'tag': 'display_notification',
            'params': {
                'type': 'success' if good else 'danger',
                'title': self._describe(answer),
                'message': self._describe_test(answer, good),
                'sticky': not good or bool(answer.device),
                'next': {'type': 'ir.actions.client', 'tag': 'soft_reload'},
            },
        }

    def _check_connection(self):
        self.ensure_one()
        self._check_may_operate()
        transport = open_transport(self.protocol, self._get_endpoint())
        self.env.cr.commit()  # no network call while this transaction is open  # pylint: disable=invalid-commit
        try:
            return transport.check()
        finally:
            transport.close()

    def _describe_test(self, answer, good):
        """Where we asked, how long that took, with what, and what came back; of a register, what it says of itself."""
        status = answer.http_status and not answer.message.startswith("HTTP") and f"HTTP {answer.http_status}"
        values = {
            'url': self.url,
            'time': round(1000 * answer.duration),
            'answer': ", ".join(filter(None, [status, answer.message])) or self.env._("nothing"),
        }
        texts = [
            self.env._("%(url)s answered in %(time)s ms.", **values)
            if good
            else self.env._("%(url)s, after %(time)s ms: %(answer)s.", **values),
            self._describe_shown(),
            answer.device and self._describe_device(answer.device),
        ]
        return " ".join(filter(None, texts))

    def _describe_shown(self):
        """With which credentials we asked: the values of those alone that are no secret."""
        credentials = self.sudo().credentials or {}
        own = {credential.name for credential in PROTOCOLS[self.protocol].credentials}
        shown = [
            self._describe_credentials([name])[0] + ("" if self._is_secret(name) else f" {credentials[name]}")
            for name in self._get_credential_names()
            if name in own and name in credentials
        ]
        if shown:
            return self.env._("Asked with: %s.", ", ".join(shown))
        return self.env._("Asked without credentials.")

    def _check_may_operate(self):
        """What changes no setting is open to the fiscal administrators of every company that uses the OFD."""
        self.check_access('read')
        if not self.env.su and not self.env.user.has_group('opterp_kkt.group_fiscal_admin'):
            raise AccessError(self.env._("Only a fiscal administrator does this."))

    def _get_endpoint(self):
        return Endpoint(self.url, self.sudo().credentials or {}, self.env['kkt.delivery']._get_number('request_timeout'))

    def _describe_good(self):
        """Whoever asked without credentials does not know whether any are accepted."""
        if self._is_register():
            return (
                self.env._("The register answers and accepts our credentials")
                if self.credentials_set
                else self.env._("The register answers")
            )
        if self.credentials_set:
            return self.env._("The OFD answers and accepts our credentials")
        return self.env._("The OFD answers")

    def _describe(self, answer):
        """What an answer to a test means for the shop."""
        texts = {
            Outcome.ABSENT: self._describe_good(),
            Outcome.MISCONFIGURED: self.env._("The OFD does not accept our credentials or does not know this address"),
            Outcome.THROTTLED: self.env._("The OFD asks us to wait"),
            Outcome.PROCESSING: self.env._("The register is busy and did not answer in time. Try again in a moment"),
            Outcome.UNABLE: self.env._("The driver answers, but not the register that it is connected to"),
            Outcome.UNAVAILABLE: self.env._("The OFD can't be reached. Sales go on; receipts are kept and sent later"),
        }
        return texts.get(answer.outcome, self.env._("The OFD gave no answer that makes sense. Receipts are kept and sent later"))
