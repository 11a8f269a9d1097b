from odoo.tests import tagged

from .common import KktSaleCommon


@tagged('post_install', '-at_install')
class TestReadiness(KktSaleCommon):
    """A till whose shop can't give receipts says so when it is opened, and the register lists it."""

    def _get_said(self):
        """What the till is told when it opens, and the register lists."""
        [row] = self.basic_config._load_pos_data_read(self.basic_config, self.basic_config)
        said = row['_kkt_report']['problems']
        self.register.invalidate_recordset(['check_list'])
        self.assertEqual(str(self.register.check_list or '').count('<li>'), len(said))
        return said

    def test_nothing_is_said_where_all_is_right(self):
        self.assertEqual(self._get_said(), [])

    def test_roubles(self):
        self.basic_config.company_id.currency_id.name = 'XTS'
        self.assertRegex(self._get_said()[0], "sells in XTS, and fiscal receipts are in roubles")

    def test_the_currency_is_that_of_the_point_of_sale(self):
        self._set_in_sql(self.basic_config, currency_id=self.env.ref('base.USD').id)
        self.assertRegex(self._get_said()[0], "sells in USD")

    def test_a_register_without_point_of_sale_sells_nothing(self):
        self.frame.product_tmpl_id.taxes_id = self.env['account.tax'].create({'name': "Riddle", 'amount': 21})
        self._close_session()
        self.register.pos_config_id = False
        self.assertEqual(self.register._get_check_list(), [])

    def test_what_is_wrong_with_the_register_is_said_too(self):
        self._set_in_sql(self.register, retail_place="")
        self.assertRegex(self._get_said()[0], "Place of Settlements")

    def test_a_group_states_the_rate_of_its_taxes(self):
        group = {'name': "Group", 'amount_type': 'group', 'children_tax_ids': [(6, 0, self.vat_22.ids)]}
        self.frame.product_tmpl_id.taxes_id = self.env['account.tax'].create(group)
        self.assertEqual(self._get_said(), [])

    def test_it_names_the_tax_that_is_wrong(self):
        riddle = self.env['account.tax'].create({'name': "Riddle", 'amount': 21, 'sequence': 1000})
        self.frame.product_tmpl_id.taxes_id = self.vat_22 + riddle
        self.assertRegex(self._get_said()[0], "The tax Riddle")

    def test_a_tax_without_rate(self):
        tax = self.env['account.tax'].create({'name': "Riddle", 'amount': 21})
        product = self.frame.product_tmpl_id
        product.taxes_id = tax
        self.assertRegex(self._get_said()[0], f"The tax Riddle of {product.name}, and maybe of others")
        product.available_in_pos = False
        self.assertEqual(self._get_said(), [], "nobody sells it")

    def test_a_rate_of_the_past(self):
        """20 % ended with 2025: a new sale can't state it."""
        tax = self.env['account.tax'].create({'name': "VAT of 2025", 'amount': 20, 'kkt_vat_rate': '1'})
        self.frame.product_tmpl_id.taxes_id = tax
        self.assertRegex(self._get_said()[0], "The tax VAT of 2025")
        tax.kkt_vat_rate = '11'
        self.assertEqual(self._get_said(), [])

    def test_a_tax_of_another_company(self):
        tax = self.env['account.tax'].create({'name': "Riddle", 'amount': 21})
        self._set_in_sql(tax, company_id=self.env['res.company'].create({'name': "Another"}).id)
        self.frame.product_tmpl_id.taxes_id += tax
        self.assertEqual(self._get_said(), [])
