from odoo import api, fields, models
from odoo.exceptions import AccessError

from ..core import vat
from ..core.inn import is_inn
from .kkt_register import TAXATION_SYSTEMS

AT_THE_END = 100  # of the menu
NAMES = {vat.VAT_0: "НДС 0 %", vat.NOT_SUBJECT_TO_VAT: "Без НДС"}  # the law's words, whatever the language of the page


class KktStart(models.AbstractModel):
    """The page that leads from an installed addon to the first receipt at the OFD: what is left to do, and buttons that do it.

        company → taxes → OFD → register → payment methods → a first document → a first receipt

    Nothing is kept of the page itself: a step is done when what it is about is there, on whatever page that was made. What the
    buttons do is done with the rights of who presses them. The taxes stand in `kkt_start_taxes.py`, what is made for trying out
    in `kkt_start_trial.py`.

    The first document is the report on the opening of a shift: it is numbered, signed, queued, sent and acknowledged as a receipt
    is, and tells of no money. A receipt of a sale that never was would be a fiscal document of a settlement that never was, to be
    taken back by another one, and an order in the books: so the first receipt is that of the first sale, at the till.
    """

    _name = 'kkt.start'
    _description = "First Steps"

    # -- what the page calls -----------------------------------------------------------------------------------------------

    @api.model
    def get_page(self):
        """All steps of the user's company. The page is the first entry of the menu until all are done."""
        self._check_may_set_up()
        page = self._get_page()
        self._settle_menu(all(step['done'] for step in page['steps'].values()))
        return page

    @api.model
    def set_company(self, inn, taxation_system):
        """Write down whose receipts these are, in roubles."""
        self._check_may_set_up()
        if wrong := self._find_wrong(inn=inn):
            return self._get_page(wrong=wrong)
        self._set_company(inn, taxation_system)
        return self._get_page()

    @api.model
    def make_taxes(self, code):
        """Have a tax for each VAT rate of today, and this one on what is sold from now on."""
        self._check_may_set_up()
        self._make_taxes(int(code))
        return self._get_page()

    @api.model
    def test_connection(self, ofd_id):
        """Ask an OFD, and tell what came back."""
        self._check_may_set_up()
        answer = self.env['kkt.ofd'].browse(ofd_id).action_test_connection()['params']
        return self._get_page(answers={f'ofd_{ofd_id}': answer})

    @api.model
    def send_document(self, register_id):
        """Open the shift of a register, and deliver the report on that now."""
        self._check_may_set_up()
        register = self.env['kkt.register'].browse(register_id)
        if not register.shift_id or register._is_shift_over():
            register.action_open_shift()
        answer = register.action_deliver_now()['params']
        return self._get_page(answers={'document': answer})

    # -- steps -------------------------------------------------------------------------------------------------------------

    @api.model
    def _get_page(self, wrong=None, answers=None):
        """
        :param wrong: words about what was typed in, by field
        :param answers: what came of a button, by where it is shown
        """
        company = self.env.company
        registers = self.env['kkt.register'].search([('company_id', '=', company.id)])
        configs = self.env['pos.config'].search([('company_id', '=', company.id)])
        return {
            'steps': {
                'company': self._get_company_step(company),
                'taxes': self._get_taxes_step(company),
                'ofd': self._get_ofd_step(company),
                'register': self._get_register_step(configs),
                'payments': self._get_payments_step(configs),
                'document': self._get_document_step(registers),
                'receipt': self._get_receipt_step(registers),
            },
            'wrong': wrong or {},
            'answers': answers or {},
        }

    @api.model
    def _get_company_step(self, company):
        problem = self._find_currency_problem(company)
        return {
            'done': is_inn(company.vat) and not problem and company.currency_id.name == 'RUB',
            'name': company.name,
            'inn': company.vat or '',
            'currency': company.currency_id.name,
            'problem': problem,
            'taxation_system': company.kkt_taxation_system,
            'taxation_systems': self._describe_choices('res.company', 'kkt_taxation_system', TAXATION_SYSTEMS),
        }

    @api.model
    def _get_taxes_step(self, company):
        day = fields.Date.context_today(self)
        default = company.account_sale_tax_id
        problem = self.env['account.tax']._kkt_find_problem(company, day)
        usable = bool(default) and not default.filtered_domain(self.env['account.tax']._kkt_get_unusable(company, day))
        codes = sorted(vat.ordinary(day), key=lambda code: (-vat.RATES[code].percent, code))
        return {
            'done': usable and not problem,
            'problem': problem or False,
            'tax': usable and default.name,
            'rates': [[str(code), _get_name(code), self._find_tax(company, code).name or False] for code in codes],
            'rate': default.kkt_vat_rate if usable else str(self._get_usual_rate(company, day)),
        }

    @api.model
    def _get_ofd_step(self, company):
        ofds = self.env['kkt.ofd'].search([('company_id', 'in', (company.id, False)), ('former_of_id', '=', False)])
        rows = [self._get_ofd_row(ofd) for ofd in ofds]
        return {'done': any(row['done'] for row in rows), 'ofds': rows}

    @api.model
    def _get_ofd_row(self, ofd):
        """One that has taken documents where it is now needs no test."""
        taken = [('sent_to_id', '=', ofd.id), ('sent_version', '=', ofd.address_version), ('state', '=', 'delivered')]
        return {
            'id': ofd.id,
            'name': ofd.name,
            'url': ofd.url,
            'credentials': ofd.credentials_set or False,
            'done': bool(ofd.answered_at or self.env['kkt.receipt'].search(taken, limit=1, order='id DESC')),
        }

    @api.model
    def _get_register_step(self, configs):
        rows = [self._get_register_row(config) for config in configs]
        return {'done': any(row['register'] and not row['problems'] for row in rows), 'rows': rows}

    @api.model
    def _get_register_row(self, config):
        register = self.env['kkt.register'].browse(config.kkt_register_id.id)
        return {
            'id': config.id,
            'name': config.name,
            'register': register.id and [register.id, register.name],
            'is_test': register.driver == 'emulator',
            'problems': register._get_check_list() if register else [],
        }

    @api.model
    def _get_payments_step(self, configs):
        methods = configs.payment_method_ids
        forms = dict(methods._fields['kkt_payment_form']._description_selection(self.env))
        return {
            'done': bool(methods) and all(method.kkt_payment_form for method in methods),
            'methods': [[method.id, method.name, forms.get(method.kkt_payment_form, False)] for method in methods],
        }

    @api.model
    def _get_document_step(self, registers):
        """Where a register elsewhere keeps its shifts by itself, its first receipt is its first document."""
        serving = registers.filtered('pos_config_id')
        reporting = serving.filtered(lambda register: not register._is_receiver('keeps_shifts'))
        return {
            'done': bool(serving) and not reporting or self._has_delivered(registers),
            'register': reporting[:1].id,
            'name': reporting[:1].name,
        }

    @api.model
    def _get_receipt_step(self, registers):
        config = registers.pos_config_id[:1]
        return {
            'done': self._has_delivered(registers, [('document_type', '=', 'receipt')]),
            'config': config.id,
            'name': config.name,
        }

    @api.model
    def _has_delivered(self, registers, domain=()):
        """The newest document is mostly such a one: history is not read."""
        return bool(
            self.env['kkt.receipt'].search(
                [('register_id', 'in', registers.ids), ('state', '=', 'delivered'), *domain], limit=1, order='id DESC'
            )
        )

    # -- company -----------------------------------------------------------------------------------------------------------

    @api.model
    def _find_wrong(self, inn):
        if not is_inn(inn):
            return {'inn': self.env._("This is no INN: it has 10 or 12 digits, the last of which check the others.")}
        return {}

    @api.model
    def _find_currency_problem(self, company):
        """Odoo keeps the currency of a company in which something is booked."""
        if company.currency_id.name == 'RUB' or self._is_unused(company):
            return False
        return self.env._(
            "%(company)s sells and keeps its books in %(currency)s, and something is sold or booked already, so that can't be"
            " changed any more. Add another company that keeps its books in roubles, choose it at the top, and open this page"
            " again.",
            company=company.name,
            currency=company.currency_id.name,
        )

    @api.model
    def _is_unused(self, company):
        """What was sold in a session that is not closed yet is not booked, but will be."""
        sold = self.env['pos.order'].sudo().search_count([('company_id', '=', company.id)], limit=1)
        return not sold and not company._existing_accounting()

    @api.model
    def _set_company(self, inn, taxation_system):
        company = self.env.company
        company.write({'vat': inn, 'kkt_taxation_system': taxation_system})
        if company.currency_id.name != 'RUB' and self._is_unused(company):
            company.write({'currency_id': self.env.ref('base.RUB').id, 'country_id': self.env.ref('base.ru').id})
            self._move_to_russia(company)

    @api.model
    def _move_to_russia(self, company):
        """Odoo's generic chart of accounts is nobody's, but it makes the company and its taxes American ones: in entries of a
        company of another country they would be refused.
        """
        if company.chart_template == 'generic_coa':
            company.account_fiscal_country_id = self.env.ref('base.ru')
            for model in ('account.tax.group', 'account.tax'):
                records = self.env[model].with_context(active_test=False).search([('company_id', '=', company.id)])
                records.country_id = self.env.ref('base.ru')

    # -- the page itself ---------------------------------------------------------------------------------------------------

    @api.model
    def _check_may_set_up(self):
        if not self.env.user.has_group('opterp_kkt.group_fiscal_admin'):
            raise AccessError(self.env._("Only a fiscal administrator sets up fiscal receipts."))

    @api.model
    def _settle_menu(self, is_done):
        """Installing the addon leads here, once; when all is done, there is no need to begin with this."""
        todo = self.env.ref('opterp_kkt.kkt_start_todo', raise_if_not_found=False)
        if todo and todo.sudo().state == 'open':
            todo.sudo().state = 'done'
        menu = self.env.ref('opterp_kkt.kkt_start_menu', raise_if_not_found=False)
        if is_done and menu and menu.sequence != AT_THE_END:
            menu.sudo().sequence = AT_THE_END

    @api.model
    def _describe_choices(self, model, name, choices):
        labels = dict(self.env[model]._fields[name]._description_selection(self.env))
        return [[value, labels[value]] for value, _label in choices]


def _get_name(code):
    """What a tax of this rate is called."""
    return NAMES.get(code) or f"НДС {vat.RATES[code].percent} %"
