import json
from unittest.mock import patch

import psycopg2

from odoo.exceptions import UserError
from odoo.tests import tagged

from odoo.addons.opterp_kkt.core import ffd

from .common import KktSaleCommon, stamp

FIXED = {  # what never changes once a document is numbered, each with another value
    'payload': "{}",
    'idempotency_key': "other",
    'fd_number': 99,
    'fiscal_drive_number': '9999000000000099',
    'fiscal_sign': "1",
    'queue_number': 99,
    'document_type': 'correction',
    'operation_type': '2',
    'pos_order_id': False,
    'register_id': False,
    'hlc_local_time': 1,
    'hlc_logical_counter': 1,
    'hlc_node': "other",
    'protocol': False,
    'total': 1,
    'numbers_follow': True,
    'qr': "other",
}


@tagged('post_install', '-at_install')
class TestReceipt(KktSaleCommon):
    """A receipt: fixed once it is numbered, never deleted, unique; and what becomes of one that can't be built."""

    def _sell_receipt(self):
        return self._sell([(self.frame, 1)]).kkt_receipt_ids

    # -- what never changes ------------------------------------------------------------------------------------------------

    def test_numbered_document_never_changes(self):
        receipt = self._sell_receipt()
        before = receipt.read(list(FIXED))
        for name, value in FIXED.items():
            with self.subTest(field=name), self.assertRaisesRegex(UserError, "never changes"):
                receipt.sudo().write({name: value})
        receipt.invalidate_recordset()
        self.assertEqual(receipt.read(list(FIXED)), before)

    def test_receipt_is_never_deleted(self):
        numbered, (_order, rejected) = self._sell_receipt(), self._sell_unbuildable()
        for receipt in (numbered, rejected):
            with self.assertRaisesRegex(UserError, "never deleted"):
                receipt.sudo().unlink()

    def test_order_with_receipt_is_never_deleted(self):
        order = self._sell_receipt().pos_order_id
        self._cancel_in_sql(order)
        with self.assertRaisesRegex(UserError, "fiscal receipt"):
            order.sudo().unlink()

    def test_order_without_receipt_can_be_deleted(self):
        self._archive_register()
        order = self._sell([(self.frame, 1)])
        self._cancel_in_sql(order)
        order.unlink()
        self.assertFalse(order.exists())

    def _cancel_in_sql(self, order):
        """Odoo itself keeps orders that are paid, and lets nobody cancel them."""
        order.flush_recordset()
        self.env.cr.execute("UPDATE pos_order SET state = 'cancel' WHERE id = %s", [order.id])
        order.invalidate_recordset()

    def test_key_is_not_copied(self):
        order = self._sell_receipt().pos_order_id
        self.assertFalse(order.copy().kkt_receipt_ids)

    # -- what is unique ----------------------------------------------------------------------------------------------------

    def _copy_in_sql(self, receipt, **other):
        """Insert a copy of a receipt that differs in some columns only, past all Python."""
        receipt.flush_recordset()
        self.env.cr.execute("SELECT * FROM kkt_receipt WHERE id = %s", [receipt.id])
        values = {**self.env.cr.dictfetchone(), 'idempotency_key': "copy", **other}
        for given in ('id', 'shift_register_id', 'shift_drive_number'):  # by PostgreSQL
            del values[given]
        columns = ', '.join(f'"{name}"' for name in values)
        self.env.cr.execute(f"INSERT INTO kkt_receipt ({columns}) VALUES %s", [tuple(values.values())])

    def test_one_receipt_per_order_and_operation(self):
        receipt = self._sell_receipt()
        with self._refuses(psycopg2.errors.UniqueViolation) as refusal:
            self._copy_in_sql(receipt, fd_number=3, queue_number=3)
        self.assertIn('order_uniq', str(refusal.exception))
        self._copy_in_sql(receipt, fd_number=3, queue_number=3, operation_type='2')  # the other half of an exchange

    def test_one_document_per_number_of_a_drive(self):
        receipt = self._sell_receipt()
        with self._refuses(psycopg2.errors.UniqueViolation) as refusal:
            self._copy_in_sql(receipt, operation_type='2', queue_number=3)
        self.assertIn('fd_number_uniq', str(refusal.exception))

    def test_one_document_per_place_in_the_queue(self):
        receipt = self._sell_receipt()
        with self._refuses(psycopg2.errors.UniqueViolation) as refusal:
            self._copy_in_sql(receipt, operation_type='2', fd_number=3)
        self.assertIn('queue_number_uniq', str(refusal.exception))

    def test_one_receipt_per_key(self):
        receipt = self._sell_receipt()
        with self._refuses(psycopg2.errors.UniqueViolation) as refusal:
            self._copy_in_sql(receipt, idempotency_key=receipt.idempotency_key, operation_type='2', fd_number=3, queue_number=3)
        self.assertIn('key_uniq', str(refusal.exception))

    def test_one_document_in_flight_per_register_and_the_next_one_claimed(self):
        first, second, third = self._sell_receipt(), self._sell_receipt(), self._sell_receipt()
        self._set(first, state='sending')
        self._set(second, state='sending')
        with self._refuses(psycopg2.errors.UniqueViolation) as refusal:
            self._set(third, state='sending')
        self.assertIn('claims_uniq', str(refusal.exception))

    def test_rejected_receipts_share_no_number(self):
        first, second = self._sell_unbuildable()[1], self._sell_unbuildable()[1]
        self.assertEqual(set((first + second).mapped('state')), {'rejected'})

    # -- what a state asks for ---------------------------------------------------------------------------------------------

    def _set(self, receipt, **values):
        """Write columns in SQL, past all Python."""
        receipt.flush_recordset()
        assignments = ', '.join(f'{name} = %({name})s' for name in values)
        self.env.cr.execute(f"UPDATE kkt_receipt SET {assignments} WHERE id = %(id)s", {**values, 'id': receipt.id})
        self.env.invalidate_all()

    def test_only_a_built_document_can_wait(self):
        rejected = self._sell_unbuildable()[1]
        with self._refuses(psycopg2.errors.CheckViolation):
            self._set(rejected, state='pending')
        receipt = self._sell_receipt()
        for column in ('payload', 'protocol', 'queue_number', 'fd_number', 'fiscal_sign', 'qr', 'total', 'operation_type'):
            with self.subTest(column=column), self._refuses(psycopg2.errors.CheckViolation):
                self._set(receipt, **{column: None})

    def test_what_a_document_needs_depends_on_its_type(self):
        """A report on a shift has no sum, no QR code and no operation, but it is numbered and signed."""
        receipt = self._sell_receipt()
        self._set(receipt, document_type='shift_close', qr=None, total=None, operation_type=None)
        for column in ('fd_number', 'fiscal_sign'):
            with self.subTest(column=column), self._refuses(psycopg2.errors.CheckViolation):
                self._set(receipt, **{column: None})

    def test_delivered_goes_with_its_time(self):
        receipt = self._sell_receipt()
        with self._refuses(psycopg2.errors.CheckViolation):
            self._set(receipt, state='delivered')
        with self._refuses(psycopg2.errors.CheckViolation):
            self._set(receipt, delivered_at='2026-11-23 10:00:00')
        self._set(receipt, state='delivered', delivered_at='2026-11-23 10:00:00')
        self.assertEqual(receipt.pos_order_id.kkt_state, 'delivered')

    def test_counter_is_not_negative(self):
        receipt = self._sell_receipt()
        with self._refuses(psycopg2.errors.CheckViolation):
            self._set(receipt, hlc_logical_counter=-1)

    # -- Retry -------------------------------------------------------------------------------------------------------------

    def test_retry_of_a_refused_document_sends_the_same_again(self):
        receipt = self._sell_receipt()
        before = receipt.read(list(FIXED))
        self._set(receipt, state='rejected', last_error="no", next_attempt_at='2099-01-01 00:00:00')
        receipt.action_retry()
        self.assertRecordValues(receipt, [{'state': 'pending', 'next_attempt_at': False, 'last_error': False}])
        self.assertEqual(receipt.read(list(FIXED)), before)

    def test_retry_ends_the_wait_of_a_pending_document(self):
        receipt = self._sell_receipt()
        self._set(receipt, next_attempt_at='2099-01-01 00:00:00')
        receipt.action_retry()
        self.assertFalse(receipt.next_attempt_at)

    def test_retry_leaves_the_others_alone(self):
        sending, delivered = self._sell_receipt(), self._sell_receipt()
        self._set(sending, state='sending')
        self._set(delivered, state='delivered', delivered_at='2026-11-23 10:00:00')
        (sending + delivered).action_retry()
        self.assertEqual((sending + delivered).mapped('state'), ['sending', 'delivered'])

    def test_state_of_an_order_is_the_worst_of_its_receipts(self):
        order = self._sell([(self.frame, 1), (self.solution, -1)])
        sold, taken_back = order.kkt_receipt_ids.sorted('operation_type')
        self._set(sold, state='delivered', delivered_at='2026-11-23 10:00:00')
        self.assertEqual(order.kkt_state, 'pending')
        self._set(taken_back, state='sending')
        self.assertEqual(order.kkt_state, 'pending')
        self._set(taken_back, state='rejected')
        self.assertEqual(order.kkt_state, 'rejected')

    # -- documents that can't be built: the paid order is stored, and its receipt says what is wrong -------------------------

    def _assert_rejected(self, order, reason):
        self.assertRecordValues(order, [{'state': 'paid', 'kkt_state': 'rejected', 'kkt_qr': False}])
        receipt = order.kkt_receipt_ids
        self.assertRecordValues(
            receipt,
            [
                {
                    'state': 'rejected',
                    'fd_number': 0,
                    'queue_number': 0,
                    'payload': False,
                    'fiscal_sign': False,
                    'qr': False,
                    'hlc_node': False,
                }
            ],
        )
        self.assertTrue(receipt.idempotency_key)
        self.assertRegex(receipt.last_error, reason)
        self.env.cr.execute("SELECT fd_number, queue_number FROM kkt_receipt WHERE id = %s", [receipt.id])
        self.assertFalse(any(self.env.cr.fetchone()))
        return receipt

    def test_tax_without_rate(self):
        order, receipt = self._sell_unbuildable()
        self._assert_rejected(order, "taxes of Riddle name no VAT rate")

    def test_two_rates_on_a_line(self):
        self.frame.taxes_id = self.vat_22 + self.exempt
        self._assert_rejected(self._sell([(self.frame, 1)]), "taxes of Frame")

    def test_payments_that_do_not_add_up(self):
        order = self._sell([(self.frame, 1)], [(self.cash_pm1, 100)], amount_total=100)
        self._assert_rejected(order, r"payments \(100\.00\).*lines \(8900\.00\)")

    def test_discount_larger_than_the_goods(self):
        discount = self._create_goods("Discount", -1000, self.vat_22)
        order = self._sell([(self.solution, 1), (discount, 1)])
        self._assert_rejected(order, "discounts are larger")

    def test_order_without_lines(self):
        self._assert_rejected(self._sell([], []), "no lines")

    def test_foreign_currency(self):
        config = self._create_other_currency_config(wanted=True)
        self._create_register(config)
        self._open_session(config)
        order = self._sell([(self.frame, 1)])
        self._assert_rejected(order, "in roubles, this order is in EUR")

    def test_unexpected_error(self):
        with (
            patch.object(ffd, 'settlement', side_effect=ZeroDivisionError("by surprise")),
            self.assertLogs('odoo.addons.opterp_kkt.models.kkt_receipt', 'ERROR'),
        ):
            order = self._sell([(self.frame, 1)])
        receipt = self._assert_rejected(order, "by surprise")
        receipt.action_retry()
        self.assertRecordValues(receipt, [{'state': 'pending', 'fd_number': 2, 'last_error': False}])

    def test_conflict_in_the_database_is_left_to_odoo(self):
        conflict = psycopg2.errors.SerializationFailure("could not serialize access")
        with (
            patch.object(self.registry['pos.order'], '_kkt_get_body', side_effect=conflict),
            self.assertRaises(psycopg2.errors.SerializationFailure),  # so that the whole sale is tried again
        ):
            self._sell([(self.frame, 1)])

    def test_exchange_with_a_bad_half_is_built_after_mending(self):
        riddle = self._create_goods("Riddle", 100, self.taxes['tax21'])
        order = self._sell([(self.frame, 1), (riddle, -1)])
        receipts = order.kkt_receipt_ids.sorted('operation_type')
        self.assertEqual(receipts.mapped('operation_type'), ['1', '2'])
        self.assertEqual(order.kkt_state, 'rejected')
        self.taxes['tax21'].kkt_vat_rate = '11'
        receipts.action_retry()
        self.assertEqual(order.kkt_state, 'pending')
        self.assertRecordValues(receipts, [{'total': 890000}, {'total': 10000}])
        self.assertEqual(set(receipts.mapped('fd_number')), {2, 3})

    def test_rejected_documents_leave_no_gap(self):
        self._sell([(self.frame, 1)])
        order, rejected = self._sell_unbuildable()
        after = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self.assertEqual((after.fd_number, after.queue_number), (3, 3))
        order.lines.tax_ids.kkt_vat_rate = '11'
        rejected.action_retry()
        self.assertRecordValues(
            rejected, [{'state': 'pending', 'fd_number': 4, 'queue_number': 4, 'total': 10000, 'last_error': False}]
        )
        self.assertEqual(order.kkt_state, 'pending')
        self.assertGreater(stamp(rejected), stamp(after))

    def test_retry_keeps_the_key(self):
        order, rejected = self._sell_unbuildable()
        key = rejected.idempotency_key
        order.lines.tax_ids.kkt_vat_rate = '11'
        rejected.action_retry()
        self.assertEqual(rejected.idempotency_key, key)
        self.assertEqual(json.loads(rejected.payload)['idempotency_key'], key)

    def test_retry_of_what_is_still_wrong(self):
        order, rejected = self._sell_unbuildable()
        rejected.action_retry()
        self._assert_rejected(order, "taxes of Riddle")
        self.assertEqual(self.register.last_fd_number, 1, "that of the shift's opening")

    def test_stamp_of_a_receipt_built_late_follows_its_sale(self):
        sale = self._sell([(self.frame, 1)])
        self._set_in_sql(self.register, inn=None)
        refund = self._sell([self._refund_line(sale.lines, 1)], is_refund=True)
        receipt = self._assert_rejected(refund, "has no INN")
        self._set_in_sql(self.register, inn=self.company.vat)
        receipt.action_retry()
        self.assertEqual(receipt.refunded_receipt_id, sale.kkt_receipt_ids)
        self.assertGreater(stamp(receipt), stamp(sale.kkt_receipt_ids))
