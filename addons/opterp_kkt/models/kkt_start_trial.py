from random import randrange

from odoo import api, fields, models

from ..core.fiscal_data import TEST_DRIVES
from ..core.registration_number import complete
from ..transports import PROTOCOLS
from ..transports.exchange import find_fault

NO_ADDRESS = "Адрес не указан"


class KktStart(models.AbstractModel):
    """What is made for trying out, with one button: a point of sale of its own with an emulated register, and something to sell.

    Points of sale that are there already are left alone: what they sell must not get receipts that are none.
    """

    _inherit = 'kkt.start'

    @api.model
    def make_trial(self, inn, taxation_system, url):
        """Prepare all that a first receipt needs, for an OFD at this address."""
        self._check_may_set_up()
        company = self.env.company
        wrong = {**self._find_wrong(inn=inn), **self._find_wrong_url(url)}
        if problem := self._find_currency_problem(company):
            wrong['inn'] = problem
        if wrong:
            return self._get_page(wrong=wrong)
        self._set_company(inn, taxation_system)
        if not self._get_taxes_step(company)['done']:
            self._make_taxes(self._get_usual_rate(company, fields.Date.context_today(self)))
        ofd = self._find_or_create_ofd(url)
        self._create_trial_register(self._create_trial_config(), ofd)
        self._create_trial_goods()
        return {**self._get_page(), 'ofd': ofd.id}

    @api.model
    def open_till(self, config_id):
        """Open the till, as the point of sale's own page does."""
        self._check_may_set_up()
        return self.env['pos.config'].browse(config_id).open_ui()

    @api.model
    def _find_wrong_url(self, url):
        ofd = self.env['kkt.ofd'].new({'url': url, 'protocol': 'http'})
        if not (url or '').startswith(PROTOCOLS['http'].schemes) or find_fault(ofd._get_endpoint()):
            return {'url': self.env._("This is no address of a web server: it looks like http://127.0.0.1:8080.")}
        return {}

    @api.model
    def _find_or_create_ofd(self, url):
        ofds, company = self.env['kkt.ofd'], self.env.company
        own = [('url', '=', url), ('protocol', '=', 'http'), ('company_id', 'in', (company.id, False))]
        return ofds.search(own, limit=1) or ofds.create({'name': self.env._("OFD for Trying Out"), 'url': url})

    @api.model
    def _create_trial_config(self):
        configs = self.env['pos.config']
        journal, methods = configs._create_journal_and_payment_methods(cash_journal_vals={'show_on_dashboard': False})
        return configs.create(
            {'name': self.env._("Till for Trying Out"), 'journal_id': journal.id, 'payment_method_ids': methods}
        )

    @api.model
    def _create_trial_register(self, config, ofd):
        """Numbers that are valid and nobody's: a drive number that is reserved for tests, check digits that are right."""
        company, number = config.company_id, f'{randrange(10**10):010}'
        return self.env['kkt.register'].create(
            {
                'name': self.env._("Emulated Register"),
                'driver': 'emulator',
                'pos_config_id': config.id,
                'ofd_id': ofd.id,
                'company_id': company.id,
                'serial_number': f'TEST{number}',
                'registration_number': complete(number, company.vat, f'TEST{number}'),
                'fiscal_drive_number': f'{TEST_DRIVES}{randrange(10**12):012}',
                'taxation_system': company.kkt_taxation_system,
                'retail_place': company.name,
                'retail_address': ", ".join(filter(None, (company.zip, company.city, company.street))) or NO_ADDRESS,
            }
        )

    @api.model
    def _create_trial_goods(self):
        products = self.env['product.template']
        if not products.search_count([('available_in_pos', '=', True), ('sale_ok', '=', True)], limit=1):
            products.create({'name': self.env._("Goods for Trying Out"), 'list_price': 100, 'available_in_pos': True})
