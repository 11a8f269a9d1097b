import logging
from datetime import timedelta

from odoo.tests import HttpCase, tagged

from odoo.addons.opterp_kkt.controllers.callback import HideSecrets

from .common import KktSaleCommon

DRIVE = '8710000100000001'
LIES = '{"status": "done", "payload": {"fiscal_document_number": 1}, "error": null}'


@tagged('post_install', '-at_install')
class TestCallback(KktSaleCommon, HttpCase):
    """A service calls when it has done with a document: that makes us ask, and nothing else."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.email = "shop@example.com"
        cls.ofd = cls._create_ofd(protocol='atol_online', calls_back=True)
        cls.register.write({'driver': 'remote', 'fiscal_drive_number': DRIVE, 'ofd_id': cls.ofd.id})

    def _get_address(self, ofd=None):
        return (ofd or self.ofd).sudo().credentials['callback_url']

    def _wait_there(self, **values):
        """A receipt that the service has had for a while, and is asked about in a minute."""
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        now = self.env.cr.now()
        waits = {
            'state': 'pending',
            'last_outcome': 'processing',
            'claimed_at': now - timedelta(seconds=30),
            'next_attempt_at': now + timedelta(minutes=1),
        }
        self._set_in_sql(receipt, **{**waits, **values})
        return receipt

    def _call(self, address=None, said=LIES):
        path = (address or self._get_address()).partition('/kkt/')[2]
        return self.url_open(f'/kkt/{path}', data=said, headers={'Content-Type': 'application/json'}).status_code

    def test_it_makes_us_ask_and_is_not_believed(self):
        receipt = self._wait_there()
        self.assertEqual(self._call(), 204)
        receipt.invalidate_recordset()
        self.assertRecordValues(receipt, [{'state': 'pending', 'fd_number': False, 'last_outcome': 'processing'}])
        self.assertLess(receipt.next_attempt_at, self.env.cr.now())

    def test_who_calls_often_is_asked_about_no_more_often(self):
        claimed = self.env.cr.now() + timedelta(seconds=20)
        receipt = self._wait_there(claimed_at=claimed)
        for _call in range(3):
            self.assertEqual(self._call(), 204)
        receipt.invalidate_recordset()
        self.assertAlmostEqual(receipt.next_attempt_at, claimed + timedelta(seconds=1), delta=timedelta(milliseconds=2))

    def test_what_does_not_wait_there_is_left_alone(self):
        refused = self._wait_there(last_outcome='unknown')
        elsewhere = self._create_ofd(protocol='atol_online', calls_back=True)
        receipt = self._wait_there()
        self.assertEqual(self._call(self._get_address(elsewhere)), 204)
        receipt.invalidate_recordset()
        self.assertGreater(receipt.next_attempt_at, self.env.cr.now())
        self.assertEqual(self._call(), 204)
        (refused + receipt).invalidate_recordset()
        self.assertGreater(refused.next_attempt_at, self.env.cr.now())
        self.assertLess(receipt.next_attempt_at, self.env.cr.now())

    def test_another_address_is_nobodys(self):
        secret = self._get_address().rpartition('/')[2]
        receipt = self._wait_there()
        later = receipt.next_attempt_at
        for wrong in ('x', secret[:-1], f'{secret}x', secret.swapcase(), '%00', 'é'):
            self.assertEqual(self._call(f'/kkt/callback/{wrong}'), 404, wrong)
        self.assertEqual(self.url_open(f'/kkt/callback/{secret}').status_code, 405, "GET")
        receipt.invalidate_recordset()
        self.assertEqual(receipt.next_attempt_at, later)
        self.ofd.calls_back = False
        self.assertEqual(self._call(f'/kkt/callback/{secret}'), 404)

    def test_each_ofd_and_each_address_has_a_secret_of_its_own(self):
        first, second = self._get_address(), self._get_address(self._create_ofd(protocol='atol_online', calls_back=True))
        self.assertTrue(first.startswith(self.ofd.get_base_url()))
        self.assertGreaterEqual(len(first.rpartition('/')[2]), 32)
        self.ofd.write({'url': 'https://elsewhere.example', 'password': "another"})
        self.assertEqual(len({first, second, self._get_address()}), 3)
        self.assertEqual(self.ofd.sudo().credentials['password'], "another")
        self.ofd.protocol = 'atol_web'
        self.assertFalse(self.ofd.sudo().credentials, "it would not call")
        self.assertFalse(self.ofd.calls_back)

    def test_the_secret_is_on_no_page_and_in_no_log(self):
        self._wait_there()
        secret = self._get_address().rpartition('/')[2]
        with self.assertLogs('werkzeug', logging.INFO) as told:
            self._call()
        self.assertNotIn(secret, repr(told.output))
        self.assertIn('/kkt/callback/***', repr(told.output))
        record = logging.LogRecord('werkzeug', logging.INFO, '', 1, '"POST /kkt/callback/%s HTTP/1.1" 204', (secret,), None)
        self.assertTrue(HideSecrets().filter(record))
        self.assertEqual(record.getMessage(), '"POST /kkt/callback/*** HTTP/1.1" 204')
        shown = self.ofd.read() + self.ofd.export_data([name for name in self.ofd._fields if name != 'credentials'])['datas']
        messages = self.ofd.message_ids.mapped('body')
        payloads = self.env['kkt.receipt'].search([]).mapped('payload')
        self.assertNotIn(secret, repr((shown, messages, payloads)))
