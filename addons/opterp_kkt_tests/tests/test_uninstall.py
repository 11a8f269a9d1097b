from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import KktSaleCommon


@tagged('post_install', '-at_install')
class TestUninstall(KktSaleCommon):
    """An uninstall says what it deletes, and is refused while a fiscal document has yet to reach the OFD."""

    def setUp(self):
        super().setUp()
        self._deliver_reports()
        self.modules = self.env['ir.module.module'].search([('name', '=', 'opterp_kkt')])

    def _assert_refused(self, words):
        for method in (self.modules.button_immediate_uninstall, self.modules.button_uninstall):
            with self.assertRaisesRegex(UserError, words):
                method()

    def test_refused_while_a_receipt_waits(self):
        self._sell([(self.frame, 1)])
        self._assert_refused("waiting 1, rejected 0")

    def test_refused_while_a_report_on_a_shift_waits(self):
        self.register.action_close_shift()
        self._assert_refused("waiting 1, rejected 0")

    def test_refused_while_a_rejected_receipt_is_not_handled(self):
        _order, receipt = self._sell_unbuildable()
        self._assert_refused("waiting 0, rejected 1")
        receipt._handle("done by hand")
        self.modules._kkt_check_uninstall()

    def test_refused_with_what_the_addon_depends_on(self):
        self._sell([(self.frame, 1)])
        self.modules = self.env['ir.module.module'].search([('name', '=', 'point_of_sale')])
        self._assert_refused("waiting 1")

    def test_other_modules_are_not_concerned(self):
        self._sell([(self.frame, 1)])
        self._assert_refused("waiting 1")
        self.env['ir.module.module'].search([('name', '=', 'opterp_kkt_tests')])._kkt_check_uninstall()

    def test_a_neutralized_copy_is_free(self):
        self._sell([(self.frame, 1)])
        self._assert_refused("waiting 1")
        self.env['ir.config_parameter'].set_param('database.is_neutralized', True)
        self.modules._kkt_check_uninstall()

    def test_the_wizard_lists_fiscal_documents(self):
        wizard = self.env['base.module.uninstall'].create({'module_ids': self.modules.ids})
        self.assertIn('kkt.receipt', wizard.model_ids.mapped('model'))
