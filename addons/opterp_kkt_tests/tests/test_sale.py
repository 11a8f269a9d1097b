import hashlib
import json
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from odoo.tests import tagged

from odoo.addons.base.tests.test_ir_cron import CronMixinCase
from odoo.addons.opterp_kkt.models import kkt_delivery

from .common import KktSaleCommon, stamp

PAYMENT_SUMS = ('cashTotalSum', 'ecashTotalSum', 'prepaidSum', 'creditSum', 'provisionSum')
YEAR = 365 * 24 * 3600 * 1000  # ms
DELIVERY_CRONS = ('opterp_kkt.ir_cron_deliver_1', 'opterp_kkt.ir_cron_deliver_2')


def now_ms():
    return int(datetime.now(UTC).timestamp() * 1000)


@tagged('post_install', '-at_install')
class TestSale(CronMixinCase, KktSaleCommon):
    """What a paid order becomes: its documents, sums, codes and numbers."""

    def _assert_paid(self, document, **sums):
        """The payments of a document, in kopecks, and that they add up to it."""
        self.assertEqual({name: document[name] for name in PAYMENT_SUMS if document[name]}, sums)
        self.assertEqual(sum(sums.values()), document['totalSum'])

    def _assert_items(self, document, *expected):
        """Items as (name, quantity, price, sum, VAT code), and that they add up to the document."""
        items = [tuple(item[key] for key in ('name', 'quantity', 'price', 'sum', 'nds')) for item in document['items']]
        self.assertEqual(items, list(expected))
        self.assertEqual(sum(item['sum'] for item in document['items']), document['totalSum'])

    def test_sale_becomes_numbered_receipt(self):
        order = self._sell([(self.frame, 1), (self.solution, 2)])
        receipt = order.kkt_receipt_ids
        document = self._get_document(receipt)
        self.assertEqual(
            document,
            {
                'code': 3,
                'fiscalDocumentFormatVer': 4,
                'operationType': 1,
                'operator': self.env.user.name,
                'user': self.company.name,
                'userInn': '7700123459  ',
                'kktRegId': f'{self.register.registration_number}    ',
                'retailPlaceAddress': "Moscow, Tverskaya 1",
                'retailPlace': "Optical shop",
                'appliedTaxationType': 1,
                'fnsUrl': "www.nalog.gov.ru",
                'items': [
                    {
                        'name': "Frame",
                        'price': 890000,
                        'quantity': 1,
                        'sum': 890000,
                        'nds': 6,
                        'paymentType': 4,
                        'productType': 1,
                        'itemsQuantityMeasure': 0,
                    },
                    {
                        'name': "Solution",
                        'price': 84990,
                        'quantity': 2,
                        'sum': 169980,
                        'nds': 11,
                        'ndsSum': 30652,
                        'paymentType': 4,
                        'productType': 1,
                        'itemsQuantityMeasure': 0,
                    },
                ],
                'totalSum': 1059980,
                'cashTotalSum': 1059980,
                'ecashTotalSum': 0,
                'prepaidSum': 0,
                'creditSum': 0,
                'provisionSum': 0,
                'ndsNo': 890000,
                'amountsReceiptNds': {'amountsNds': [{'nds': 11, 'ndsSum': 30652}]},
                'dateTime': document['dateTime'],
                'shiftNumber': 1,
                'requestNumber': 1,
                'fiscalDriveNumber': self.register.fiscal_drive_number,
                'fiscalDocumentNumber': 2,
                'fiscalSign': document['fiscalSign'],
            },
        )
        self.assertRecordValues(order, [{'state': 'paid', 'kkt_state': 'pending', 'kkt_qr': receipt.qr}])
        self.assertRecordValues(
            receipt,
            [
                {
                    'state': 'pending',
                    'register_id': self.register.id,
                    'company_id': self.company.id,
                    'document_type': 'receipt',
                    'operation_type': '1',
                    'refunded_receipt_id': False,
                    'fiscal_drive_number': self.register.fiscal_drive_number,
                    'fd_number': 2,
                    'queue_number': 2,
                    'fiscal_sign': str(document['fiscalSign']),
                    'total': 1059980,
                    'amount_total': 10599.80,
                    'attempts': 0,
                    'last_error': False,
                    'hlc_drift': False,
                    'hlc_node': self.register.hlc_node,
                }
            ],
        )

    def test_document_time_is_local_time_of_register(self):
        self.register.tz = 'Asia/Vladivostok'
        now = self.env.cr.now().replace(tzinfo=UTC).timestamp()
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        moment = self._get_document(receipt)['dateTime']
        self.assertEqual(moment, int(now) + 10 * 3600)
        self.assertEqual(receipt.qr[:16], f"t={datetime.fromtimestamp(moment, UTC):%Y%m%dT%H%M}&")

    def test_document_time_never_runs_backwards(self):
        ahead = now_ms() + 3_600_000
        self.env.cr.execute("UPDATE kkt_register SET last_document_time = %s WHERE id = %s", [ahead, self.register.id])
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self.assertEqual(self._get_document(receipt)['dateTime'], ahead // 1000 + 3 * 3600)

    def test_qr_code_states_the_document(self):
        receipt = self._sell([(self.solution, 1)]).kkt_receipt_ids
        self.assertRegex(
            receipt.qr,
            (rf"^t=\d{{8}}T\d{{4}}&s=849\.90&fn={self.register.fiscal_drive_number}&i=2&fp={receipt.fiscal_sign}&n=1$"),
        )

    def test_fiscal_sign_covers_the_document(self):
        receipt = self._sell([(self.solution, 1)]).kkt_receipt_ids
        document = self._get_document(receipt)
        sign = document.pop('fiscalSign')
        text = json.dumps(document, ensure_ascii=False, separators=(',', ':'))
        self.assertEqual(sign, int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], 'big'))

    def test_payload_is_what_the_contract_asks_for(self):
        receipt = self._sell([(self.solution, 1)]).kkt_receipt_ids
        payload = json.loads(receipt.payload, parse_float=self.fail)  # no amount of money is a fraction
        document = payload.pop('document')
        self.assertEqual(
            payload,
            {
                'idempotency_key': receipt.idempotency_key,
                'register': {
                    'fiscal_drive_number': self.register.fiscal_drive_number,
                    'registration_number': self.register.registration_number,
                },
                'fd_number': 2,
                'document_type': 'receipt',
                'hlc': {
                    'local_time': receipt.hlc_local_time,
                    'logical_counter': receipt.hlc_logical_counter,
                    'node': self.register.hlc_node,
                },
            },
        )
        self.assertEqual(document['fiscalDocumentNumber'], 2)

    def test_key_belongs_to_this_database(self):
        receipts = self._sell([(self.frame, 1)]).kkt_receipt_ids + self._sell([(self.frame, 1)]).kkt_receipt_ids
        database = self.env['ir.config_parameter'].get_param('database.uuid')
        self.assertEqual(len(set(receipts.mapped('idempotency_key'))), 2)
        for receipt in receipts:
            self.assertTrue(receipt.idempotency_key.startswith(f"{database}."))

    def test_numbers_are_consecutive(self):
        receipts = [self._sell([(self.frame, 1)]).kkt_receipt_ids for _ in range(3)]
        self.assertEqual([(receipt.fd_number, receipt.queue_number) for receipt in receipts], [(2, 2), (3, 3), (4, 4)])
        self.assertRecordValues(self.register, [{'last_fd_number': 4, 'last_queue_number': 4, 'pending_count': 4}])

    def test_sale_calls_the_delivery_crons_once_it_is_committed(self):
        self.env.cr.postcommit.clear()
        with patch.object(kkt_delivery, '_call_crons') as call:
            self._sell([(self.frame, 1), (self.solution, -1)])
            call.assert_not_called()
            self.env.cr.postcommit.run()
        call.assert_called_once_with(self.env.cr.dbname)

    def test_each_delivery_cron_is_due_when_it_is_called(self):
        with self.capture_triggers() as capture, patch.object(kkt_delivery, 'db_connect') as connect:
            connect.return_value.cursor.return_value.__enter__.return_value = self.env.cr
            self.assertTrue(kkt_delivery._make_due(self.env.cr.dbname))
        crons = self.env['ir.cron'].browse(self.env.ref(xmlid).id for xmlid in DELIVERY_CRONS)
        self.assertEqual(capture.records.cron_id, crons)
        self.assertEqual(len(capture.records), len(crons))

    # -- who pays it, and how ----------------------------------------------------------------------------------------------

    def test_cash_and_card(self):
        order = self._sell([(self.frame, 1)], [(self.cash_pm1, 900), (self.bank_pm1, 8000)])
        self._assert_paid(self._get_document(order.kkt_receipt_ids), cashTotalSum=90000, ecashTotalSum=800000)

    def test_change_is_not_part_of_the_payment(self):
        order = self._sell([(self.solution, 1)], [(self.cash_pm1, 1000)], amount_return=-150.10)
        self._assert_paid(self._get_document(order.kkt_receipt_ids), cashTotalSum=84990)

    def test_change_from_a_mixed_payment(self):
        order = self._sell([(self.solution, 1)], [(self.bank_pm1, 500), (self.cash_pm1, 400)], amount_return=-50.10)
        self._assert_paid(self._get_document(order.kkt_receipt_ids), ecashTotalSum=50000, cashTotalSum=34990)

    def test_customer_account_is_credit(self):
        order = self._sell([(self.frame, 1)], [(self.cash_pm1, 900), (self.pay_later_pm, 8000)], customer=self.customer)
        self._assert_paid(self._get_document(order.kkt_receipt_ids), cashTotalSum=90000, creditSum=800000)

    def test_cash_rounding_is_fitted_into_the_items(self):
        self.pos_session.state = 'opening_control'  # lets the configuration change
        rounding = self.env['account.cash.rounding'].create(
            {
                'name': "Whole roubles",
                'rounding': 1,
                'rounding_method': 'DOWN',
                'profit_account_id': self.company_data['default_account_revenue'].id,
                'loss_account_id': self.company_data['default_account_expense'].id,
            }
        )
        self.config.write({'cash_rounding': True, 'rounding_method': rounding.id})
        order = self._sell([(self.solution, 1)], [(self.cash_pm1, 849)])
        document = self._get_document(order.kkt_receipt_ids)
        self._assert_items(document, ("Solution", 1, 84900, 84900, 11))
        self._assert_paid(document, cashTotalSum=84900)

    def test_payment_from_the_backend(self):
        draft = self._sync({**self._get_ui_order([(self.solution, 1)], []), 'state': 'draft'})
        self.assertFalse(draft.kkt_receipt_ids)
        self._pay(draft, self.bank_pm1)
        self.assertRecordValues(draft.kkt_receipt_ids, [{'state': 'pending', 'fd_number': 2, 'total': 84990}])
        self._assert_paid(self._get_document(draft.kkt_receipt_ids), ecashTotalSum=84990)

    def _pay(self, order, payment_method):
        """Pay what is left, in the backend."""
        context = {'active_id': order.id, 'active_ids': order.ids}
        wizard = self.env['pos.make.payment'].with_context(**context).create({'payment_method_id': payment_method.id})
        wizard.check()

    def test_draft_paid_later_by_the_till(self):
        ui_order = self._get_ui_order([(self.solution, 1)])
        draft = self._sync({**ui_order, 'state': 'draft', 'payment_ids': [], 'amount_paid': 0})
        self.assertRecordValues(draft, [{'state': 'draft', 'kkt_state': False}])
        paid = self._sync({**ui_order, 'access_token': draft.access_token, 'lines': []})
        self.assertEqual(paid, draft)
        self.assertRecordValues(paid.kkt_receipt_ids, [{'state': 'pending', 'fd_number': 2, 'total': 84990}])

    def test_order_sent_twice_has_one_receipt(self):
        ui_order = self._get_ui_order([(self.frame, 1)])
        first = self._sync(ui_order).kkt_receipt_ids
        again = self._sync(ui_order).kkt_receipt_ids
        self.assertEqual(len(first), 1)
        self.assertEqual(again, first)
        self.assertEqual(self.register.last_fd_number, 2)

    def test_order_marked_paid_twice_has_one_receipt(self):
        order = self._sell([(self.frame, 1)])
        order.action_pos_order_paid()
        self.assertEqual(len(order.kkt_receipt_ids), 1)

    def test_what_the_caller_has_not_yet_written_is_no_empty_transaction(self):
        """A sale that waits for the sale lock ends the transaction, so it looks first whether something would be lost."""
        self.register.retail_place = "Written in this transaction"
        self.env['kkt.register']._take_sale_lock(self.pos_session.ids)
        self.env.cr.execute("SELECT retail_place FROM kkt_register WHERE id = %s", [self.register.id])
        self.assertEqual(self.env.cr.fetchone(), ("Written in this transaction",))

    # -- refunds and exchanges ---------------------------------------------------------------------------------------------

    def test_refund_from_the_backend(self):
        sale = self._sell([(self.frame, 1), (self.solution, 1)])
        refund = sale._refund()
        self._pay(refund, self.cash_pm1)
        receipt = refund.kkt_receipt_ids
        self.assertRecordValues(
            receipt,
            [
                {
                    'state': 'pending',
                    'operation_type': '2',
                    'fd_number': 3,
                    'total': 974990,
                    'refunded_receipt_id': sale.kkt_receipt_ids.id,
                }
            ],
        )
        document = self._get_document(receipt)
        self.assertEqual(document['operationType'], 2)
        self._assert_items(document, ("Frame", 1, 890000, 890000, 6), ("Solution", 1, 84990, 84990, 11))
        self._assert_paid(document, cashTotalSum=974990)
        self.assertTrue(receipt.qr.endswith("&n=2"))

    def test_refund_from_the_till(self):
        sale = self._sell([(self.frame, 1)], [(self.bank_pm1, 8900)])
        refund = self._sell([self._refund_line(sale.lines, 1)], [(self.bank_pm1, -8900)], is_refund=True)
        self.assertRecordValues(
            refund.kkt_receipt_ids,
            [{'operation_type': '2', 'fd_number': 3, 'total': 890000, 'refunded_receipt_id': sale.kkt_receipt_ids.id}],
        )
        self._assert_paid(self._get_document(refund.kkt_receipt_ids), ecashTotalSum=890000)

    def test_partial_refund(self):
        sale = self._sell([(self.solution, 3)])
        refund = self._sell([self._refund_line(sale.lines, 1)], is_refund=True)
        document = self._get_document(refund.kkt_receipt_ids)
        self._assert_items(document, ("Solution", 1, 84990, 84990, 11))
        self._assert_paid(document, cashTotalSum=84990)

    def test_refund_keeps_discount_of_sale(self):
        sale = self._sell([(self.solution, 2, 10)])
        refund = self._sell([{**self._refund_line(sale.lines, 2), 'discount': 10}], is_refund=True)
        self.assertEqual(refund.kkt_receipt_ids.total, sale.kkt_receipt_ids.total)

    def test_negative_quantity_without_refund_is_a_refund(self):
        order = self._sell([(self.frame, -1)])
        self.assertRecordValues(order.kkt_receipt_ids, [{'operation_type': '2', 'total': 890000}])

    def test_exchange_is_a_sale_and_a_refund(self):
        sale = self._sell([(self.solution, 1)])
        order = self._sell([(self.frame, 1), self._refund_line(sale.lines, 1)])
        sold, taken_back = order.kkt_receipt_ids.sorted('operation_type')
        self.assertRecordValues(
            sold + taken_back,
            [
                {'operation_type': '1', 'fd_number': 3, 'total': 890000, 'refunded_receipt_id': False},
                {'operation_type': '2', 'fd_number': 4, 'total': 84990, 'refunded_receipt_id': sale.kkt_receipt_ids.id},
            ],
        )
        self._assert_items(self._get_document(sold), ("Frame", 1, 890000, 890000, 6))
        self._assert_items(self._get_document(taken_back), ("Solution", 1, 84990, 84990, 11))
        self._assert_paid(self._get_document(sold), cashTotalSum=890000)
        self._assert_paid(self._get_document(taken_back), cashTotalSum=84990)
        self.assertLess(stamp(sold), stamp(taken_back))
        self.assertEqual(order.kkt_qr, sold.qr)
        papers = [document['lines'] for document in order.kkt_documents]
        self.assertIn([sold.qr, "", 'qr'], papers[0])
        self.assertIn([taken_back.qr, "", 'qr'], papers[1])

    def test_exchange_paid_in_two_forms(self):
        order = self._sell([(self.frame, 1), (self.solution, -1)], [(self.bank_pm1, 8000), (self.cash_pm1, 50.10)])
        sold, taken_back = order.kkt_receipt_ids.sorted('operation_type')
        self._assert_paid(self._get_document(sold), ecashTotalSum=884990, cashTotalSum=5010)
        self._assert_paid(self._get_document(taken_back), ecashTotalSum=84990)

    def test_exchange_in_favour_of_the_buyer(self):
        order = self._sell([(self.solution, 1), (self.frame, -1)])
        sold, taken_back = order.kkt_receipt_ids.sorted('operation_type')
        self._assert_paid(self._get_document(sold), cashTotalSum=84990)
        self._assert_paid(self._get_document(taken_back), cashTotalSum=890000)

    def test_even_exchange(self):
        order = self._sell([(self.frame, 1), (self.frame, -1)], [])
        sold, taken_back = order.kkt_receipt_ids.sorted('operation_type')
        self._assert_paid(self._get_document(sold), cashTotalSum=890000)
        self._assert_paid(self._get_document(taken_back), cashTotalSum=890000)

    # -- lines -------------------------------------------------------------------------------------------------------------

    def test_discount_by_percent(self):
        order = self._sell([(self.frame, 2, 10)])
        self._assert_items(self._get_document(order.kkt_receipt_ids), ("Frame", 2, 801000, 1602000, 6))

    def test_discount_by_a_negative_line_is_spread(self):
        discount = self._create_goods("Discount", -1000, self.vat_22)
        order = self._sell([(self.frame, 1), (self.solution, 1), (discount, 1)])
        document = self._get_document(order.kkt_receipt_ids)
        self._assert_items(document, ("Frame", 1, 798718, 798718, 6), ("Solution", 1, 76272, 76272, 11))
        self._assert_paid(document, cashTotalSum=874990)

    def test_fractional_quantity(self):
        chain = self._create_goods("Chain by the metre", 330, self.vat_22)
        order = self._sell([(chain, 1.5)])
        self._assert_items(self._get_document(order.kkt_receipt_ids), ("Chain by the metre", 1.5, 33000, 49500, 11))

    def test_order_of_nothing_to_pay(self):
        order = self._sell([(self.frame, 1, 100)], [])
        document = self._get_document(order.kkt_receipt_ids)
        self._assert_items(document, ("Frame", 1, 0, 0, 6))
        self._assert_paid(document)
        self.assertIn("&s=0.00&", order.kkt_qr)

    def test_combo_parent_is_no_item(self):
        combo = self._create_goods("Set", 0)
        order = self._sell(
            [
                {'product': combo, 'quantity': 1, 'uuid': 'parent'},
                {'product': self.frame, 'quantity': 1, 'uuid': 'child-1'},
                {'product': self.solution, 'quantity': 1, 'uuid': 'child-2'},
            ],
            relations_uuid_mapping={
                'pos.order.line': {'child-1': {'combo_parent_id': 'parent'}, 'child-2': {'combo_parent_id': 'parent'}}
            },
        )
        self._assert_items(
            self._get_document(order.kkt_receipt_ids), ("Frame", 1, 890000, 890000, 6), ("Solution", 1, 84990, 84990, 11)
        )

    def test_line_without_tax_is_not_subject_to_vat(self):
        order = self._sell([(self._create_goods("Gift card", 500), 1)])
        self._assert_items(self._get_document(order.kkt_receipt_ids), ("Gift card", 1, 50000, 50000, 6))

    def test_item_name_is_what_the_till_showed_and_fits(self):
        order = self._sell([{'product': self.frame, 'quantity': 1, 'full_product_name': "Оправа «Нева» " * 20}])
        [item] = self._get_document(order.kkt_receipt_ids)['items']
        self.assertEqual(item['name'], ('Оправа "Нева" ' * 20)[:128].strip())
        self.assertIn("Оправа", order.kkt_receipt_ids.payload)  # as written, not as escapes

    def test_vat_rates_of_taxes(self):
        taxes = self.env['account.tax'].create(
            [{'name': f"{amount} %", 'amount': amount} for amount in (22, 20, 10, 7, 5, 0, 13)]
        )
        self.assertEqual(taxes.mapped('kkt_vat_rate'), ['11', '1', '2', '8', '7', '5', False])

    # -- without a register ------------------------------------------------------------------------------------------------

    def test_sale_without_register_gives_no_receipt(self):
        self._close_session()
        self.register.pos_config_id = False
        self._open_session(self.basic_config)
        order = self._sell([(self.frame, 1)])
        self.assertRecordValues(order, [{'state': 'paid', 'kkt_state': False, 'kkt_qr': False}])
        self.assertFalse(order.kkt_receipt_ids)

    def test_archived_register_gives_no_receipt(self):
        self._archive_register()
        order = self._sell([(self.frame, 1)])
        self.assertEqual(order.state, 'paid')
        self.assertFalse(order.kkt_receipt_ids)

    # -- the hybrid logical clock: cause before effect, whatever the wall clocks say -------------------------------------------

    def _set_clock(self, register, local_time):
        register.flush_recordset()
        self.env.cr.execute("UPDATE kkt_register SET hlc_local_time = %s WHERE id = %s", [local_time, register.id])
        register.invalidate_recordset()

    def _sell_stamped(self, raw):
        return self._sell([(self.frame, 1)], kkt_hlc=raw)

    def test_stamps_increase(self):
        stamps = [stamp(self._sell([(self.frame, 1)]).kkt_receipt_ids) for _ in range(4)]
        self.assertEqual(stamps, sorted(set(stamps)))
        self.assertEqual(stamps[-1], (self.register.hlc_local_time, self.register.hlc_logical_counter))

    def test_stamps_increase_while_the_wall_clock_is_behind(self):
        ahead = now_ms() + YEAR
        self._set_clock(self.register, ahead)
        receipts = [self._sell([(self.frame, 1)]).kkt_receipt_ids for _ in range(2)]
        self.assertEqual([stamp(receipt) for receipt in receipts], [(ahead, 1), (ahead, 2)])

    def test_refund_at_another_register_is_later_than_its_sale(self):
        config, other = self._create_second_shop()
        ahead = now_ms() + YEAR
        self._set_clock(self.register, ahead)
        sale = self._sell([(self.frame, 1)])
        self._open_session(config)
        refund = self._sell([self._refund_line(sale.lines, 1)], [(self.bank_pm1, -8900)], is_refund=True)
        self.assertRecordValues(
            refund.kkt_receipt_ids,
            [
                {
                    'register_id': other.id,
                    'refunded_receipt_id': sale.kkt_receipt_ids.id,
                    'hlc_node': other.hlc_node,
                    'hlc_drift': False,
                }
            ],
        )
        self.assertEqual(stamp(sale.kkt_receipt_ids), (ahead, 1))
        self.assertEqual(stamp(refund.kkt_receipt_ids), (ahead, 2))
        self.assertEqual((other.hlc_local_time, other.hlc_logical_counter), (ahead, 2))

    def test_stamp_of_the_till_is_merged(self):
        self._set_database_clock(YEAR)
        raw = {'local_time': now_ms() + YEAR + 50_000, 'logical_counter': 7, 'node': 'till-1'}
        order = self._sell_stamped(raw)
        self.assertEqual(order.kkt_hlc, raw)
        self.assertEqual(stamp(order.kkt_receipt_ids), (raw['local_time'], 8))
        self.assertFalse(order.kkt_receipt_ids.hlc_drift)

    def _set_database_clock(self, ahead):
        now = datetime.now(UTC).replace(tzinfo=None) + timedelta(milliseconds=ahead)
        self.patch(self.env.cr, 'now', lambda: now)

    def test_stamp_is_judged_by_the_clock_of_the_database(self):
        self._set_database_clock(-YEAR)
        receipt = self._sell_stamped({'local_time': now_ms(), 'logical_counter': 7, 'node': 'till-1'}).kkt_receipt_ids
        self.assertTrue(receipt.hlc_drift)

    def test_stamp_that_the_till_has_from_its_register_is_merged(self):
        """A server's clock was ahead and is right again: the till is as far ahead as the register, and not to blame."""
        ahead = now_ms() + YEAR
        self._set_clock(self.register, ahead)
        receipt = self._sell_stamped({'local_time': ahead, 'logical_counter': 7, 'node': 'till-1'}).kkt_receipt_ids
        self.assertFalse(receipt.hlc_drift)
        self.assertEqual(stamp(receipt), (ahead, 8))

    def test_a_till_does_not_push_its_register_ahead_step_by_step(self):
        """A stamp ahead of the register's own is believed within the bound of the true time only."""
        true_time = int(self.env.cr.now().replace(tzinfo=UTC).timestamp() * 1000)  # a sale's is that of its transaction
        first = self._sell_stamped({'local_time': true_time + 30_000, 'logical_counter': 0, 'node': 'till-1'}).kkt_receipt_ids
        self.assertFalse(first.hlc_drift)
        further = first.hlc_local_time + 59_000_000
        self.assertTrue(
            self._sell_stamped({'local_time': further, 'logical_counter': 0, 'node': 'till-1'}).kkt_receipt_ids.hlc_drift
        )
        self.register.sudo().hlc_local_time = further
        beyond = {'local_time': further + 59_000, 'logical_counter': 0, 'node': 'till-1'}
        self.assertTrue(self._sell_stamped(beyond).kkt_receipt_ids.hlc_drift)

    def test_old_stamp_of_an_offline_till_changes_nothing(self):
        before = now_ms()
        receipt = self._sell_stamped({'local_time': before - YEAR, 'logical_counter': 7, 'node': 'till-1'}).kkt_receipt_ids
        self.assertFalse(receipt.hlc_drift)
        self.assertGreaterEqual(receipt.hlc_local_time, before)

    def test_stamp_too_far_ahead_is_kept_but_not_merged(self):
        raw = {'local_time': now_ms() + 120_000, 'logical_counter': 7, 'node': 'till-1'}
        order = self._sell_stamped(raw)
        self.assertEqual(order.kkt_hlc, raw)
        self.assertRecordValues(order.kkt_receipt_ids, [{'state': 'pending', 'hlc_drift': True}])
        self.assertLess(order.kkt_receipt_ids.hlc_local_time, raw['local_time'])

    def test_malformed_stamps_never_stop_a_sale(self):
        good = {'local_time': now_ms(), 'logical_counter': 0, 'node': 'till-1'}
        for raw in (
            17,
            True,
            [good],
            {'local_time': now_ms()},
            "nul \x00",
            "half a pair \ud800",
            'x' * 100_000,
            {**good, 'local_time': True},
            {**good, 'local_time': 10**30},
            {**good, 'local_time': {'deep': [[[[{}]]]]}},
            {**good, 'node': "nul \x00"},
            {**good, 'node': "half a pair \ud800"},
            {**good, 'node': 'x' * 100_000},
        ):
            with self.subTest(raw=repr(raw)[:80]):
                order = self._sell_stamped(raw)
                self.assertRecordValues(order.kkt_receipt_ids, [{'state': 'pending', 'hlc_drift': True}])
                self.assertLess(len(json.dumps(order.kkt_hlc)), 400)

    def test_no_stamp_is_no_drift(self):
        order = self._sell_stamped(False)
        self.assertFalse(order.kkt_hlc)
        self.assertFalse(order.kkt_receipt_ids.hlc_drift)

    def test_unknown_keys_of_a_stamp_are_dropped(self):
        raw = {'local_time': now_ms(), 'logical_counter': 0, 'node': 'till-1'}
        order = self._sell_stamped({**raw, 'note': "nul \x00"})
        self.assertEqual(order.kkt_hlc, raw)
