from unittest import SkipTest

from odoo.tests import tagged

from .common import KktSaleCommon


@tagged('post_install', '-at_install', 'kkt_flows')
class TestEmployees(KktSaleCommon):
    """Employees who share one user's till (`pos_hr`): each document names the one who stood at it, in a database that has the
    module.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if 'employee_id' not in cls.env['pos.session']._fields:
            raise SkipTest("pos_hr is not installed")
        cls.user = cls._create_user('shared_till', 'base.group_user,point_of_sale.group_pos_user', name="Shared Till")
        employees = cls.env['hr.employee'].sudo()
        for name in ("Anna Obraztsova", "Boris Primerov"):
            employees += employees.create({'name': name, 'company_id': cls.company.id})
        cls.anna, cls.boris = employees
        cls.basic_config.write({'module_pos_hr': True, 'basic_employee_ids': [(6, 0, employees.ids)]})

    def setUp(self):
        super().setUp()
        self._close_session()
        session = self.env['pos.session'].with_user(self.user).create({'config_id': self.config.id, 'user_id': self.user.id})
        self.pos_session = session.sudo()
        self._log_in(self.anna)
        session.set_opening_control(0, "")

    def _log_in(self, employee):
        """What the till does when somebody takes it over."""
        self.pos_session.with_user(self.user).write({'employee_id': employee.id})

    def _sell_as(self, employee, *args):
        self._log_in(employee)
        return self._sync(self._get_ui_order(*args, employee_id=employee.id), self.user)

    def _get_named(self, receipts):
        return [self._get_document(receipt)['operator'] for receipt in receipts]

    def _finish_session(self):
        session = self.pos_session.with_user(self.user)
        expected = session.get_closing_control_data()['default_cash_details']['amount']
        session.post_closing_cash_details(expected)
        self.assertTrue(session.close_session_from_ui()['successful'])
        self.env.invalidate_all()

    def test_each_document_names_who_stood_at_the_till(self):
        shown = self.register.shift_id
        sale = self._sell_as(self.boris, [(self.frame, 1)])
        refund = self._sell_as(self.anna, [self._refund_line(sale.lines, 1)], [(self.cash_pm1, -8900)])
        self._log_in(self.boris)
        self._finish_session()
        documents = shown._get_report('shift_open') + sale.kkt_receipt_ids + refund.kkt_receipt_ids
        documents += shown._get_report('shift_close')
        self.assertEqual(self._get_named(documents), ["Anna Obraztsova", "Boris Primerov", "Anna Obraztsova", "Boris Primerov"])
        self.assertEqual((shown.opened_by, shown.closed_by), ("Anna Obraztsova", "Boris Primerov"))

    def test_what_a_sale_opens_names_its_cashier(self):
        self.register.action_close_shift()
        self._sell_as(self.boris, [(self.frame, 1)])
        shown = self.register.shift_id
        self.assertEqual(self._get_named(shown.document_ids), ["Boris Primerov"] * 2)

    def test_a_till_without_employees_names_its_user(self):
        """The session still knows who stood there before."""
        self.basic_config.module_pos_hr = False
        shown = self.register.shift_id
        self._finish_session()
        self.assertEqual(shown.closed_by, "Shared Till")

    def test_x_z_and_reconciliation_are_of_all_of_them(self):
        shown = self.register.shift_id
        self._sell_as(self.anna, [(self.frame, 1)], [(self.cash_pm1, 8900)])
        self._sell_as(self.boris, [(self.frame, 2)], [(self.bank_pm1, 17800)])
        both = {self.cash_pm1.name: (8900, 8900, 0), self.bank_pm1.name: (17800, 17800, 0)}
        self.assertEqual(self._read_reconciliation(shown), (both, []))
        self.assertIn(['    СУММА ВСЕГО', '26700.00'], shown.get_till_slip()['lines'])
        cash_in = {'formattedAmount': "100.00", 'translatedType': "in", 'employee_id': self.anna.id}
        self.pos_session.try_cash_in_out('in', 100, "change", self.anna.work_contact_id.id, cash_in)
        self._finish_session()
        self.assertEqual(self._read_reconciliation(shown), (both, []))
        slip = shown.get_till_slip()
        self.assertTrue(slip['is_closed'])
        for line in (['КАССИР', "Boris Primerov"], ['    СУММА ВСЕГО', '26700.00'], ['  ВНЕСЕНИЕ change', '100.00']):
            self.assertIn(line, slip['lines'])
