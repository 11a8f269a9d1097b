import re
from datetime import date
from pathlib import Path
from unittest.mock import patch

from odoo.exceptions import AccessError
from odoo.tests import TransactionCase, new_test_user, tagged
from odoo.tools import file_path

from odoo.addons.opterp_kkt.core import vat
from odoo.addons.opterp_kkt.core.registration_number import complete

from .common import KktCommon
from .test_ofd import running_ofd

INN = '7700123459'  # nobody's, but valid
URL = 'http://127.0.0.1:9'


class StartCommon(KktCommon, TransactionCase):
    """A company as Odoo makes it: in dollars, with an American tax on its goods, and nothing of ours."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        company = cls.env['res.company'].create({'name': "Fresh Shop", 'currency_id': cls.env.ref('base.USD').id})
        cls.user = new_test_user(
            cls.env,
            'starter',
            'opterp_kkt.group_fiscal_admin,account.group_account_manager,base.group_system',
            company_id=company.id,
            company_ids=company.ids,
        )
        cls.env['account.chart.template'].try_loading('generic_coa', company, install_demo=False)
        cls.env = cls.env(user=cls.user, context={'allowed_company_ids': company.ids})
        cls.company = company.with_env(cls.env)
        cls.start = cls.env['kkt.start']
        cls.american = cls.company.account_sale_tax_id

    def _get_steps(self):
        return self.start.get_page()['steps']

    def _get_done(self):
        return {name for name, step in self._get_steps().items() if step['done']}

    def _create_goods(self, name="Frame", **values):
        return self.env['product.template'].create({'name': name, 'available_in_pos': True, 'list_price': 100, **values})


@tagged('post_install', '-at_install')
class TestStart(StartCommon):
    """The page that leads from an installed addon to the first receipt."""

    def test_nothing_is_done_in_a_fresh_company(self):
        self.assertEqual(self._get_done(), set())

    # -- company -----------------------------------------------------------------------------------------------------------

    def test_a_wrong_inn_is_told_at_the_field_and_not_kept(self):
        for inn in ('', '770012345', '7700123450', '0000000000', 'ИНН 7700123459'):
            page = self.start.set_company(inn, '2')
            with self.subTest(inn):
                self.assertRegex(page['wrong']['inn'], "no INN")
                self.assertFalse(page['steps']['company']['done'])
        self.assertRecordValues(
            self.company, [{'vat': False, 'kkt_taxation_system': '1', 'currency_id': self.env.ref('base.USD').id}]
        )

    def test_company(self):
        page = self.start.set_company(INN, '2')
        self.assertEqual((page['wrong'], page['steps']['company']['done']), ({}, True))
        self.assertRecordValues(
            self.company,
            [
                {
                    'vat': INN,
                    'kkt_taxation_system': '2',
                    'currency_id': self.env.ref('base.RUB').id,
                    'country_id': self.env.ref('base.ru').id,
                    'account_fiscal_country_id': self.env.ref('base.ru').id,
                }
            ],
        )

    def test_a_currency_in_which_something_is_booked_stays(self):
        self.env['account.move'].create(
            {'move_type': 'out_invoice', 'invoice_line_ids': [(0, 0, {'name': "Frame", 'price_unit': 1})]}
        )
        step = self.start.set_company(INN, '1')['steps']['company']
        self.assertRegex(step['problem'], "sells and keeps its books in USD")
        self.assertEqual((step['done'], self.company.currency_id.name), (False, 'USD'))
        self.assertRegex(self.start.make_trial(INN, '1', URL)['wrong']['inn'], "sells and keeps its books in USD")
        self.assertFalse(self.env['kkt.register'].search([('company_id', '=', self.company.id)]))

    # -- taxes -------------------------------------------------------------------------------------------------------------

    def _get_taxes(self):
        return self.env['account.tax'].search(
            [('company_id', '=', self.company.id), ('type_tax_use', '=', 'sale'), ('id', '!=', self.american.id)]
        )

    def test_a_tax_for_each_rate_of_the_day(self):
        """What the page makes is what receipts may state: no calculated rate, none of the past."""
        goods = self._create_goods()
        self.start.set_company(INN, '1')
        self.assertRegex(self._get_steps()['taxes']['problem'], f"The tax {self.american.name} of Frame")
        page = self.start.make_taxes('11')
        self.assertTrue(page['steps']['taxes']['done'])
        taxes = self._get_taxes()
        self.assertEqual(
            {(tax.name, tax.amount, tax.kkt_vat_rate, tax.price_include) for tax in taxes},
            {
                ("НДС 22 %", 22, '11', True),
                ("НДС 10 %", 10, '2', True),
                ("НДС 7 %", 7, '8', True),
                ("НДС 5 %", 5, '7', True),
                ("0% Exports", 0, '5', False),  # the chart of accounts has it, and of nothing it is included or not
                ("Без НДС", 0, '6', True),
            },
        )
        self.assertEqual(taxes.country_id, self.env.ref('base.ru'))
        made = taxes.filtered(lambda tax: tax.price_include)
        self.assertEqual(made.tax_group_id.mapped('name'), ["НДС"])
        accounts = made.invoice_repartition_line_ids.filtered(lambda line: line.repartition_type == 'tax').account_id
        self.assertEqual(accounts, self.american.invoice_repartition_line_ids.account_id, "booked where it was")
        self.assertEqual((self.company.account_sale_tax_id.name, goods.taxes_id.name), ("НДС 22 %", "НДС 22 %"))
        self.start.make_taxes('6')
        self.assertEqual(self._get_taxes(), taxes, "nothing is made twice")
        self.assertEqual((self.company.account_sale_tax_id.name, goods.taxes_id.name), ("Без НДС", "НДС 22 %"))

    def test_taxes_of_another_module_are_taken(self):
        self.start.set_company(INN, '1')
        theirs = self.american.copy({'name': "VAT 22 included", 'amount': 22, 'kkt_vat_rate': '11'})
        self.start.make_taxes('11')
        self.assertEqual(self.company.account_sale_tax_id, theirs)
        self.assertNotIn("НДС 22 %", self._get_taxes().mapped('name'))

    def test_goods_that_something_was_sold_of_are_left_to_a_person(self):
        goods = self._create_goods()
        self.start.set_company(INN, '1')
        self.env['account.move'].create(
            {
                'move_type': 'out_invoice',
                'invoice_line_ids': [(0, 0, {'name': "Frame", 'price_unit': 1, 'tax_ids': self.american.ids})],
            }
        )
        step = self.start.make_taxes('11')['steps']['taxes']
        self.assertEqual(goods.taxes_id, self.american)
        self.assertRegex(step['problem'], "of Frame, and maybe of others")

    def test_a_tax_that_receipts_may_state_stays_on_goods(self):
        goods = self._create_goods()
        self.american.kkt_vat_rate = '2'
        self.start.make_taxes('11')
        self.assertEqual(goods.taxes_id, self.american)

    def test_what_most_goods_have_depends_on_the_taxation_system(self):
        for system, code in (('1', 11), ('16', 11), ('2', 6), ('4', 6), ('32', 6)):
            self.company.kkt_taxation_system = system
            with self.subTest(system):
                self.assertEqual(self.start._get_usual_rate(self.company, date(2026, 11, 29)), code)
        self.company.kkt_taxation_system = '1'
        self.assertEqual(vat.RATES[self.start._get_usual_rate(self.company, date(2025, 6, 1))].percent, 20)

    # -- for trying out ----------------------------------------------------------------------------------------------------

    def test_one_button_prepares_all_for_trying_out(self):
        page = self.start.make_trial(INN, '2', URL)
        self.assertEqual(page['wrong'], {})
        self.assertEqual(
            {name for name, step in page['steps'].items() if step['done']}, {'company', 'taxes', 'register', 'payments'}
        )
        register = self.env['kkt.register'].search([('company_id', '=', self.company.id)])
        self.assertEqual((register.driver, register.taxation_system, register.ofd_id.url), ('emulator', '2', URL))
        self.assertTrue(register.fiscal_drive_number.startswith('9999'))
        number = register.registration_number
        self.assertEqual(number, complete(number, INN, register.serial_number))
        self.assertFalse(register.check_list)
        [goods] = self.env['product.template'].search(
            [('available_in_pos', '=', True), ('company_id', 'in', (False, self.company.id)), ('create_uid', '=', self.user.id)]
        )
        self.assertEqual(goods.taxes_id.name, "Без НДС")
        register.pos_config_id._check_before_creating_new_session()
        self.assertEqual({form for _id, _name, form in page['steps']['payments']['methods']}, {"Cash", "Non-cash", "On credit"})

    def test_points_of_sale_that_are_there_are_left_alone(self):
        config = self.env['pos.config'].create({'name': "Real Shop"})
        self.start.make_trial(INN, '1', URL)
        self.assertFalse(config.kkt_register_id)

    def test_wrong_input_makes_nothing(self):
        for values, field in (
            ((INN + '1', '1', URL), 'inn'),
            ((INN, '1', 'ftp://here'), 'url'),
            ((INN, '1', 'http://'), 'url'),
            ((INN, '1', ''), 'url'),
        ):
            page = self.start.make_trial(*values)
            with self.subTest(values):
                self.assertEqual(list(page['wrong']), [field])
        self.assertEqual(self._get_done(), set())

    def test_a_second_trial_uses_the_same_ofd(self):
        first, second = (self.start.make_trial(INN, '1', URL)['ofd'] for _number in range(2))
        self.assertEqual(first, second)

    # -- OFD and documents -------------------------------------------------------------------------------------------------

    def _press(self, method, *values):
        """A button that commits, so it runs on a cursor that may."""
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            return getattr(self.start.with_env(self.env(cr=cr)), method)(*values)

    def test_connection(self):
        with running_ofd() as url:
            ofd = self._create_ofd(url=url, company_id=self.company.id)
            page = self._press('test_connection', ofd.id)
        self.assertEqual(page['answers'][f'ofd_{ofd.id}']['type'], 'success')
        self.assertTrue(page['steps']['ofd']['done'])
        self.assertEqual(self._press('test_connection', ofd.id)['steps']['ofd']['done'], False, "it has ended")

    def test_another_address_is_another_matter(self):
        ofd = self._create_ofd(company_id=self.company.id)
        for values in ({'url': 'http://127.0.0.1:8'}, {'token': "another"}):
            ofd.sudo().answered_at = '2026-11-29 10:00:00'
            ofd.write({'name': "Renamed"})
            self.assertIn('ofd', self._get_done())
            ofd.write(values)
            self.assertNotIn('ofd', self._get_done())

    def test_nobody_writes_down_that_it_answered(self):
        ofd = self._create_ofd(company_id=self.company.id)
        with self.assertRaises(AccessError):
            ofd.answered_at = '2026-11-29 10:00:00'

    def test_a_first_document_and_a_first_receipt(self):
        self.start.make_trial(INN, '1', URL)
        register = self.env['kkt.register'].search([('company_id', '=', self.company.id)])
        register.ofd_id.sudo().answered_at = '2026-11-29 10:00:00'
        register.action_open_shift()
        self.assertNotIn('document', self._get_done(), "it waits")
        self._deliver()
        self.assertEqual(set(self._get_steps()) - self._get_done(), {'receipt'})
        menu = self.env.ref('opterp_kkt.kkt_start_menu')
        self.assertEqual(menu.sequence, 0)
        self._issue_receipt(register)
        self._deliver()
        self.assertEqual(set(self._get_steps()), self._get_done())
        self.assertGreater(menu.sequence, 0, "no longer the first entry")

    def test_the_button_opens_the_shift_once_and_says_what_came_of_the_report(self):
        self.start.make_trial(INN, '1', URL)
        register = self.env['kkt.register'].search([('company_id', '=', self.company.id)])
        self.assertEqual(self._get_steps()['document']['register'], register.id)
        for delivered, said in ((1, "Delivered: 1."), (0, "Nothing was waiting.")):
            result = {'delivered': delivered, 'rejected': 0, 'waiting': 0, 'busy': []}
            with patch.object(self.registry['kkt.delivery'], '_deliver_now', return_value=result):
                page = self.start.send_document(register.id)
            self.assertEqual(page['answers']['document']['message'], said)
            self.assertEqual(register.receipt_ids.mapped('document_type'), ['shift_open'])

    def test_every_action_that_the_page_opens_is_there(self):
        page = Path(file_path('opterp_kkt/static/src/backend/start/kkt_start.xml')).read_text()
        names = re.findall(r"openAction\('([\w.]+)'\)", page)
        self.assertGreater(len(names), 4)
        for name in names:
            self.assertTrue(self.env.ref(name).sudo().exists(), name)

    def _issue_receipt(self, register):
        """One over nothing that was sold: this page only asks whether there is one."""
        opening = self.env['kkt.receipt'].sudo().search([('register_id', '=', register.id)])
        numbers = {'fd_number': 2, 'queue_number': 2, 'idempotency_key': "key"}
        opening.create(
            {
                **opening.copy_data()[0],
                **numbers,
                'state': 'pending',
                'delivered_at': False,
                'document_type': 'receipt',
                'operation_type': '1',
                'total': 1,
                'qr': "code",
            }
        )

    def _deliver(self):
        self.env.flush_all()
        self.env.cr.execute("UPDATE kkt_receipt SET state = 'delivered', delivered_at = now() WHERE state = 'pending'")
        self.env.invalidate_all()

    # -- who ---------------------------------------------------------------------------------------------------------------

    def test_only_fiscal_administrators(self):
        manager = new_test_user(self.env(su=True), 'start_manager', 'point_of_sale.group_pos_manager')
        for name, values in (
            ('get_page', ()),
            ('set_company', (INN, '1')),
            ('make_taxes', ('11',)),
            ('make_trial', (INN, '1', URL)),
            ('test_connection', (1,)),
            ('send_document', (1,)),
            ('open_till', (1,)),
        ):
            with self.subTest(name), self.assertRaises(AccessError):
                getattr(self.start.with_user(manager), name)(*values)

    def test_a_fiscal_administrator_has_no_more_rights_here_than_elsewhere(self):
        user = new_test_user(
            self.env(su=True),
            'start_fiscal',
            'opterp_kkt.group_fiscal_admin',
            company_id=self.company.id,
            company_ids=self.company.ids,
        )
        start = self.start.with_user(user)
        self.assertFalse(start.get_page()['steps']['company']['done'])
        with self.assertRaises(AccessError):
            start.set_company(INN, '1')
        with self.assertRaises(AccessError):
            start.make_taxes('11')
        self.assertFalse(self.company.vat)
