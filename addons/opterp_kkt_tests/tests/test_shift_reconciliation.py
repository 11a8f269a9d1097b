from unittest.mock import patch

from odoo.exceptions import AccessError
from odoo.sql_db import Cursor
from odoo.tests import tagged

from .common import KktSaleCommon


@tagged('post_install', '-at_install')
class TestShiftReconciliation(KktSaleCommon):
    """A shift beside its session: totals by payment method, and the orders that make a difference."""

    def _read(self, shift=None):
        return self._read_reconciliation(shift or self.register.shift_id)

    def _sell_for_cash(self, quantity=1):
        return self._sell([(self.frame, quantity)], [(self.cash_pm1, quantity * 8900)])

    def test_a_day_without_differences(self):
        order = self._sell([(self.frame, 1), (self.solution, 2)], [(self.cash_pm1, 600), (self.bank_pm1, 9999.80)])
        self._sell([self._refund_line(order.lines[1], 1)], [(self.cash_pm1, -849.90)])
        self._sell([(self.frame, 1)], [(self.pay_later_pm, 8900)], customer=self.customer)
        shown = self.register.shift_id
        rows, causes = self._read()
        self.assertEqual(
            rows,
            {
                self.cash_pm1.name: (-249.90, -249.90, 0),
                self.bank_pm1.name: (9999.80, 9999.80, 0),
                self.pay_later_pm.name: (8900, 8900, 0),
            },
        )
        self.assertEqual(causes, [])
        self.register.action_close_shift()
        self.assertEqual(self._read(shown), (rows, causes), "closed, it reads the same")

    def test_what_was_not_built(self):
        self._sell_for_cash()
        order, receipt = self._sell_unbuildable()
        self.assertFalse(receipt.payload)
        rows, causes = self._read()
        self.assertEqual(rows[self.cash_pm1.name], (9000, 8900, -100))
        self.assertEqual(causes, [("Rejected, not built", order.name, -100)])
        table = self.register.shift_id.reconciliation_table
        self.assertIn(f'href="/odoo/pos.order/{order.id}"', table)

    def test_a_session_none_of_whose_receipts_was_built(self):
        order, _receipt = self._sell_unbuildable()
        self.assertEqual(self._read(), ({self.cash_pm1.name: (100, 0, -100)}, [("Rejected, not built", order.name, -100)]))

    def test_what_the_ofd_refused_is_no_difference(self):
        """The drive has signed it."""
        self._set_in_sql(self._sell_for_cash().kkt_receipt_ids, state='rejected')
        self.assertEqual(self._read(), ({self.cash_pm1.name: (8900, 8900, 0)}, []))

    def test_two_shifts_of_one_session(self):
        early, first = self._sell_for_cash(), self.register.shift_id
        self.register.action_close_shift()
        late, second = self._sell_for_cash(2), self.register.shift_id
        rows = {self.cash_pm1.name: (26700, 8900, -17800)}
        self.assertEqual(self._read(first), (rows, [("In another shift", late.name, -17800)]))
        rows = {self.cash_pm1.name: (26700, 17800, -8900)}
        self.assertEqual(self._read(second), (rows, [("In another shift", early.name, -8900)]))

    def test_an_order_of_another_session(self):
        """It was not built on its day; what is built after all stands in the shift of today."""
        order, receipt = self._sell_unbuildable()
        yesterday = self.register.shift_id
        self._close_session()
        self._open_session(self.config)
        order.lines.tax_ids.kkt_vat_rate = '11'
        receipt.action_retry()
        self._sell_for_cash()
        rows = {self.cash_pm1.name: (8900, 9000, 100)}
        self.assertEqual(self._read(), (rows, [("Order of another session", order.name, 100)]))
        rows = {self.cash_pm1.name: (100, 0, -100)}
        self.assertEqual(self._read(yesterday), (rows, [("In another shift", order.name, -100)]))

    def test_a_shift_of_two_sessions(self):
        self._sell_for_cash()
        self.env['pos.session'].search([('config_id', '=', self.config.id)]).state = 'closed'
        self._open_session(self.config)
        self._sell_for_cash()
        self.assertEqual(len(self.register.shift_id.session_ids), 2)
        self.assertEqual(self._read(), ({self.cash_pm1.name: (17800, 17800, 0)}, []))

    def test_an_order_without_a_receipt(self):
        self._archive_register()
        order = self._sell_for_cash()
        self.register.active = True
        self.register.action_open_shift()
        self.assertEqual(self._read(), ({self.cash_pm1.name: (8900, 0, -8900)}, [("No fiscal receipt", order.name, -8900)]))

    def test_a_correction(self):
        order = self._sell_for_cash()
        self._close_session()
        self._open_session(self.config)
        wrong = order.kkt_receipt_ids
        planned = (
            self.env['kkt.correction']
            .sudo()
            .create(
                {
                    'register_id': self.register.id,
                    'role': 'reverse',
                    'settlement_day': wrong._get_settlement_day(),
                    'operation_type': '2',
                    'corrected_receipt_id': wrong.id,
                }
            )
        )
        planned._issue()
        self.assertEqual(self._read(), ({self.cash_pm1.name: (0, -8900, -8900)}, [("Correction", order.name, -8900)]))

    def test_differences_that_make_up_for_one_another_are_shown(self):
        self._sell_for_cash()
        receipt = self.register.receipt_ids.filtered('total')
        self._set_in_sql(receipt, payload=receipt.payload.replace('"cashTotalSum":890000', '"cashTotalSum":890100'))
        self._sell_for_cash()
        other = self.register.receipt_ids.filtered('total') - receipt
        self._set_in_sql(other, payload=other.payload.replace('"cashTotalSum":890000', '"cashTotalSum":889900'))
        rows, causes = self._read()
        self.assertEqual(rows, {self.cash_pm1.name: (17800, 17800, 0)})
        names = ", ".join((receipt + other).pos_order_id.mapped('name'))
        self.assertEqual(causes, [("Stated otherwise than paid", names, 0)])

    def test_many_orders_are_counted(self):
        for _order in range(22):
            self._sell_for_cash()
        self.register.action_close_shift()
        self._sell_for_cash()
        [(cause, names, total)] = self._read()[1]
        self.assertEqual((cause, total), ("In another shift", -22 * 8900))
        self.assertEqual(names.count(", "), 19)
        self.assertIn(" and 2 more", names)

    def test_it_costs_what_its_own_receipts_cost(self):
        """The same questions, whatever was sold before and however much."""
        self._sell_for_cash()
        few = self._count_statements()
        self._sell_unbuildable()
        with_difference = self._count_statements()
        for _order in range(5):
            self._sell_for_cash()
            self._sell_unbuildable()
        self._close_session()
        self._open_session(self.config)
        self._sell_for_cash()
        self.assertLessEqual(self._count_statements(), few)
        self._sell_unbuildable()
        self._sell_unbuildable()
        self.assertLessEqual(self._count_statements(), with_difference)

    def _count_statements(self):
        self.env.flush_all()
        self.env.invalidate_all()
        with patch.object(Cursor, 'execute', autospec=True, side_effect=Cursor.execute) as execute:
            self.assertTrue(self.register.shift_id.reconciliation_table)
        return execute.call_count

    # -- people ------------------------------------------------------------------------------------------------------------

    def test_cashiers_read_it_and_other_companies_do_not(self):
        cashier = self._create_user('reconciling_cashier', 'point_of_sale.group_pos_user')
        self._sell_for_cash()
        shown = self.register.shift_id
        self.assertIn("8900.00", shown.with_user(cashier).read(['reconciliation_table'])[0]['reconciliation_table'])
        foreign = self.env['res.company'].create({'name': "Another Shop"})
        foreigner = self._create_user('foreign_manager', 'point_of_sale.group_pos_manager', company_id=foreign.id)
        with self.assertRaises(AccessError):
            shown.with_user(foreigner).read(['reconciliation_table'])
