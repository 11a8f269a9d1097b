import json
from base64 import b64decode
from datetime import datetime

from odoo.exceptions import ValidationError
from odoo.tests import tagged

from odoo.addons.opterp_kkt.core import tlv

from .common import KktSaleCommon


@tagged('post_install', '-at_install')
class TestDocument(KktSaleCommon):
    """What Odoo's records become in a fiscal document: rates by date, subjects, measures, forms of payment, numbers."""

    def _get_items(self, order, operation_type='1'):
        receipt = order.kkt_receipt_ids.filtered(lambda receipt: receipt.operation_type == operation_type)
        self.assertEqual(receipt.state, 'pending', receipt.last_error)
        return self._get_document(receipt)['items']

    def _set_day(self, *day):
        """PostgreSQL's day, for the check of rates; the register has made no document yet."""
        self._set_in_sql(self.register, last_document_time=0)
        self.patch(self.env.cr, '_now', datetime(*day, 10))

    # -- VAT by date -------------------------------------------------------------------------------------------------------

    def test_twenty_percent_ends_with_2025(self):
        self.vat_22.kkt_vat_rate = '1'
        self._set_day(2026, 1, 1)
        order = self._sell([(self.solution, 1)])
        self.assertEqual(order.kkt_receipt_ids.state, 'rejected')
        self.assertRegex(order.kkt_receipt_ids.last_error, r"^Line 1 \(Solution\): A receipt of 01/01/2026 .* code 1\.")
        self.vat_22.kkt_vat_rate = '11'
        order.kkt_receipt_ids.action_retry()
        self.assertEqual([(item['nds'], item['ndsSum']) for item in self._get_items(order)], [(11, 15326)])

    def test_the_day_is_that_of_the_register(self):
        self._set_day(2025, 12, 31)
        self.register.tz = 'Asia/Kamchatka'  # ten in the evening
        self.env.cr._now = datetime(2025, 12, 31, 13)
        self.assertEqual(self._sell([(self.solution, 1)]).kkt_receipt_ids.state, 'pending')

    def test_refund_states_what_the_signed_sale_stated(self):
        self.vat_22.kkt_vat_rate = '1'
        self._set_day(2025, 12, 30)
        sale = self._sell([(self.frame, 1), (self.solution, 2)])
        self.assertEqual(sale.lines.mapped('kkt_vat_rate'), [6, 1])
        self.vat_22.kkt_vat_rate = '11'
        self._set_day(2026, 2, 1)
        refund = self._sell([self._refund_line(sale.lines[1], 1)], is_refund=True)
        self.assertEqual([(item['nds'], item['ndsSum']) for item in self._get_items(refund, '2')], [(1, 14165)])
        unlinked = self._sell([(self.solution, -1)])
        self.assertEqual([item['nds'] for item in self._get_items(unlinked, '2')], [11])

    def test_refund_of_a_sale_of_before(self):
        """Its line didn't keep the rate; its document says it."""
        sale = self._sell([(self.frame, 1), (self._create_goods("Discount", -100), 1), (self.solution, 1)])
        sale.lines.sudo().kkt_vat_rate = False
        self.vat_22.kkt_vat_rate = '7'
        refund = sale._refund()
        self.assertEqual([line._kkt_get_item().vat_rate for line in refund.lines[::2]], [6, 11])

    def test_a_rate_that_was_not_signed_is_not_believed(self):
        order, _receipt = self._sell_unbuildable()
        order.lines.sudo().kkt_vat_rate = 5
        self.assertEqual(order.lines._kkt_get_signed_rate(), 0)

    # -- lines -------------------------------------------------------------------------------------------------------------

    def test_a_line_is_split_to_the_kopeck(self):
        cheap = self._create_goods("Cloth", 2.505, self.exempt)
        items = self._get_items(self._sell([(cheap, 4)]))
        self.assertEqual([(i['quantity'], i['price'], i['sum']) for i in items], [(2, 251, 502), (2, 250, 500)])

    def test_service_by_the_metre(self):
        eye_test = self._create_goods("Eye test", 1500, self.exempt)
        eye_test.type = 'service'
        chain = self._create_goods("Chain", 330, self.vat_22)
        chain.uom_id = self.env.ref('uom.product_uom_meter')
        items = self._get_items(self._sell([(eye_test, 1), (chain, 0.333), (self.frame, 1)]))
        self.assertEqual([i['productType'] for i in items], [4, 1, 1])
        self.assertEqual([i['itemsQuantityMeasure'] for i in items], [0, 22, 0])

    def test_a_unit_without_a_code_is_other(self):
        self.assertEqual(self.env.ref('uom.product_uom_dozen').kkt_measure, 255)
        self.assertEqual(self.env.ref('uom.product_uom_unit').kkt_measure, 0)

    def test_marked_goods_are_refused_at_the_product(self):
        with self.assertRaisesRegex(ValidationError, "Frame can't be marked goods"):
            self.frame.kkt_payment_subject = '33'

    def test_a_name_of_nothing(self):
        order = self._sell([(self.frame, 1), {'product': self.solution, 'quantity': 1, 'full_product_name': "眼鏡"}])
        self.assertRegex(order.kkt_receipt_ids.last_error, r"^Line 2 \(眼鏡\): «наименование предмета расчёта» \(1030\) is empty")

    # -- payments ----------------------------------------------------------------------------------------------------------

    def test_form_of_payment_is_a_setting(self):
        self.assertEqual(
            (self.cash_pm1 + self.bank_pm1 + self.pay_later_pm).mapped('kkt_payment_form'), ['cash', 'ecash', 'credit']
        )
        self.bank_pm1.kkt_payment_form = 'prepaid'
        order = self._sell([(self.frame, 1)], [(self.bank_pm1, 8000), (self.cash_pm1, 900)])
        document = self._get_document(order.kkt_receipt_ids)
        self.assertEqual((document['prepaidSum'], document['cashTotalSum']), (800000, 90000))

    def test_form_of_payment_that_is_not_set(self):
        self.bank_pm1.kkt_payment_form = False
        order = self._sell([(self.frame, 1)], [(self.bank_pm1, 8900)])
        self.assertIn("Bank", order.kkt_receipt_ids.last_error)
        self.bank_pm1.kkt_payment_form = 'ecash'
        order.kkt_receipt_ids.action_retry()
        self.assertEqual(order.kkt_receipt_ids.state, 'pending')

    def test_on_account(self):
        order = self._sell([(self.frame, 1)], [(self.pay_later_pm, 8900)], customer=self.customer)
        self.assertEqual([i['paymentType'] for i in self._get_items(order)], [6])
        order = self._sell([(self.frame, 1)], [(self.pay_later_pm, 8000), (self.cash_pm1, 900)], customer=self.customer)
        self.assertEqual([i['paymentType'] for i in self._get_items(order)], [5])

    def test_inn_is_checked_before_signing(self):
        self._set_in_sql(self.register, inn='7700123450')
        order = self._sell([(self.frame, 1)])
        self.assertIn("INN", order.kkt_receipt_ids.last_error)

    # -- numbers within a shift --------------------------------------------------------------------------------------------

    def _get_numbers(self, order):
        document = self._get_document(order.kkt_receipt_ids)
        self.assertRecordValues(
            order.kkt_receipt_ids, [{'shift_number': document['shiftNumber'], 'receipt_number': document['requestNumber']}]
        )
        return document['shiftNumber'], document['requestNumber'], document['fiscalDocumentNumber']

    def test_receipts_count_from_one_in_each_shift(self):
        first = self.register.last_shift_number
        self.assertEqual(first, 1)
        self.assertEqual([self._get_numbers(self._sell([(self.frame, 1)])) for _ in range(2)], [(1, 1, 2), (1, 2, 3)])
        self.pos_session.action_pos_session_closing_control()
        self._open_session(self.basic_config)
        self.assertEqual(self._get_numbers(self._sell([(self.frame, 1)])), (2, 1, 6))

    def test_numbers_count_per_fiscal_drive(self):
        first = self.register.fiscal_drive_number
        self._sell([(self.frame, 1)])
        self._change_drive('9999000000777777')
        self.assertEqual(self._get_numbers(self._sell([(self.frame, 1)])), (1, 1, 2))
        self._sell([(self.frame, 1)])
        self._change_drive(first)
        self.assertEqual(self._get_numbers(self._sell([(self.frame, 1)])), (2, 1, 5))

    # -- to look at --------------------------------------------------------------------------------------------------------

    def test_document_as_table_json_and_tlv(self):
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        document = self._get_document(receipt)
        self.assertEqual(json.loads(b64decode(receipt.document_json)), document)
        self.assertEqual(tlv.decode(b64decode(receipt.document_tlv)), document)
        self.assertIn("8900.00", receipt.document_table)
        self.assertIn("  1030 наименование предмета расчёта: Frame  060405004672616d65", receipt._get_hex().splitlines())

    def test_a_document_of_before_is_shown_too(self):
        """Its texts were not fitted, and its bytes stay."""
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        payload = receipt.payload.replace('"Frame"', '"Оправа «Нева» – 1"')
        self.env.cr.execute("UPDATE kkt_receipt SET payload = %s WHERE id = %s", [payload, receipt.id])
        receipt.invalidate_recordset()
        self.assertEqual(tlv.decode(b64decode(receipt.document_tlv))['items'][0]['name'], 'Оправа "Нева" - 1')
        self.assertIn("Оправа «Нева» – 1", b64decode(receipt.document_json).decode())
        self.assertEqual(receipt.payload, payload)
