import json
from datetime import timedelta

from odoo.tests import tagged

from .common import KktSaleCommon
from .test_correction import CorrectionCommon

DRIVE = '8710000100000001'


@tagged('post_install', '-at_install')
class TestCloud(KktSaleCommon):
    """A register in the cloud: it keeps its shifts by itself, and wants somebody named on each receipt."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.email = "shop@example.com"
        cls.ofd = cls._create_ofd(name="The Cloud", protocol='atol_online')
        cls.register.write({'driver': 'remote', 'fiscal_drive_number': DRIVE, 'ofd_id': cls.ofd.id, 'tz': 'Asia/Vladivostok'})

    def _sell_receipt(self, customer=False):
        return self._sell([(self.frame, 1)], customer=customer).kkt_receipt_ids

    def _get_request(self, receipt):
        return json.loads(json.loads(receipt.payload)['request'])['receipt']

    def test_its_shift_opens_and_closes_without_reports(self):
        shift = self.register.shift_id
        self.assertTrue(shift.opened_at)
        self.assertEqual(shift.display_name, "Shift (not numbered yet)")
        receipt = self._sell_receipt()
        self._close_session()
        self.assertTrue(shift.closed_at)
        self.assertFalse(self.register.shift_id)
        self.assertEqual(shift.document_ids, receipt, "nothing but what was sold")
        self.assertEqual(shift.counters['totalReceiptBsoCount'], 1)
        self._set_in_sql(receipt, shift_number=23)
        self.assertEqual(shift.display_name, "Shift 23")

    def test_nobody_is_asked_to_close_its_shift(self):
        self.assertFalse(self.register.get_till_report()['shift'])
        hours = timedelta(hours=25) // timedelta(milliseconds=1)
        self._set_in_sql(self.register, shift_opened_time=self.register.shift_opened_time - hours)
        self.assertGreater(self.register._get_shift_age(), timedelta(hours=24))
        self.assertNotIn(self.register, self.env['kkt.watch']._find_shift())
        first = self.register.shift_id
        receipt = self._sell_receipt()
        self.assertEqual(receipt.shift_id, self.register.shift_id)
        self.assertNotEqual(receipt.shift_id, first, "the next one, for the counters of a day")
        self.assertEqual(self._sell_receipt().shift_id, receipt.shift_id)

    def test_at_the_counter_there_are_reports_again(self):
        self.ofd.protocol = 'atol_web'
        self.register.action_close_shift()
        self.register.action_open_shift()
        reports = self.env['kkt.receipt'].search([('register_id', '=', self.register.id)])
        self.assertEqual(reports.mapped('document_type'), ['shift_open', 'shift_close'])

    def test_what_it_refused_is_not_counted(self):
        self.ofd.protocol = 'atol_web'
        self.register.action_close_shift()
        self.register.action_open_shift()
        self._sell_receipt()
        self._set_in_sql(self._sell_receipt(), state='rejected')
        shown = self.register.shift_id.sudo()
        shown.write(shown._count())
        body = shown._kkt_get_body(self.register, False)
        self.assertEqual((body['receiptQuantity'], body['documentsQuantity']), (1, 3), "with both reports")

    def test_somebody_is_named(self):
        self.customer.write({'email': False, 'phone': "+7 916 123-45-67"})
        for customer, client in ((False, {'email': "shop@example.com"}), (self.customer, {'phone': "+79161234567"})):
            request = self._get_request(self._sell_receipt(customer))
            with self.subTest(client=client):
                self.assertEqual(request['client'], client)
                self.assertEqual(request['company']['email'], "shop@example.com")
                self.assertEqual(request['company']['inn'], self.company.vat)
                self.assertEqual(request['timezone'], 9, "UTC+10")

    def test_without_an_address_of_the_shop_it_says_what_to_do(self):
        self.assertFalse(self.register.check_list)
        self.company.email = "shop"
        self.assertIn("The Cloud states the shop's e-mail address", self.register.check_list)
        receipt = self._sell_receipt()
        self.assertEqual(receipt.state, 'rejected')
        self.assertIn("Set it on the company, then press Retry", receipt.last_error)
        self.company.email = "shop@example.com"
        receipt.action_retry()
        self.assertEqual(receipt.state, 'pending')


@tagged('post_install', '-at_install')
class TestCloudCorrection(CorrectionCommon):
    def test_a_receipt_that_named_nobody_is_corrected_there(self):
        self.assertNotIn('buyerPhoneOrAddress', self.receipt._get_document())
        self.company.email = "shop@example.com"
        self.register.action_close_shift()
        ofd = self._create_ofd(protocol='atol_online')
        self.register.write({'driver': 'remote', 'fiscal_drive_number': DRIVE, 'ofd_id': ofd.id})
        documents = self._correct_rate()
        self.assertEqual(documents.mapped('protocol'), ['atol_online'] * 2)
        for document in documents:
            self.assertEqual(document._get_document()['buyerPhoneOrAddress'], "shop@example.com")
