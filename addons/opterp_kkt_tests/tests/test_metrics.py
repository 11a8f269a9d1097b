import os
from datetime import timedelta
from unittest.mock import patch

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from odoo.tests import tagged

from .test_health import HealthCommon, HttpCase

TOKEN = "monitoring only"


@tagged('post_install', '-at_install')
class TestMetrics(HealthCommon, HttpCase):
    """`GET /kkt/metrics` as monitoring reads it, with its own parser."""

    def setUp(self):
        super().setUp()
        self.startPatcher(patch.dict(os.environ, ODOO_KKT_METRICS_TOKEN=TOKEN))
        self.labels = {'register': self.register.name, 'serial': self.register.serial_number}

    def _read(self):
        """Samples by name, as a list of labels and value."""
        self.env.flush_all()
        response = self.url_open('/kkt/metrics', headers={'Authorization': f"Bearer {TOKEN}"})
        self.assertEqual(response.status_code, 200)
        self.assertIn('application/openmetrics-text', response.headers['Content-Type'])
        found = {}
        for family in text_string_to_metric_families(response.text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        return found

    def _of_register(self, name):
        [value] = [value for labels, value in self._read()[name] if labels == self.labels]
        return value

    def test_only_with_the_token(self):
        for given in ("", "Bearer wrong", TOKEN, "Bearer тайна".encode()):
            response = self.url_open('/kkt/metrics', headers={'Authorization': given})
            self.assertEqual(response.status_code, 401)
            self.assertNotIn(self.register.name, response.text)

    def test_without_a_token_there_is_no_page(self):
        with patch.dict(os.environ, ODOO_KKT_METRICS_TOKEN=""):
            for headers in ({}, {'Authorization': "Bearer "}):
                self.assertEqual(self.url_open('/kkt/metrics', headers=headers).status_code, 404)

    def test_all_is_well(self):
        found = self._read()
        self.assertEqual(found['kkt_healthy'], [({}, 1)])
        self.assertTrue(all(not value for _labels, value in found['kkt_unhealthy']))
        self.assertEqual({labels['job'] for labels, _value in found['kkt_job_silent_seconds']}, {'delivery', 'watch'})
        self.assertEqual([value for labels, value in found['kkt_breaker'] if labels['kkt_breaker'] == 'closed'], [1])
        self.assertEqual(self._of_register('kkt_documents_waiting'), 0)

    def test_what_waits(self):
        self._wait(minutes=6)
        self._sell([(self.frame, 1)])
        found = self._read()
        self.assertEqual(found['kkt_healthy'], [({}, 0)])
        self.assertEqual([labels['reason'] for labels, value in found['kkt_unhealthy'] if value], ['late'])
        self.assertEqual(self._of_register('kkt_documents_waiting'), 2)
        self.assertEqual(self._of_register('kkt_documents_numbered_total'), self.register.last_queue_number)
        self.assertGreaterEqual(self._of_register('kkt_oldest_waiting_seconds'), 360)

    def test_held_and_rejected(self):
        receipt = self._wait(minutes=1)
        self._hold(receipt)
        receipt.sudo().state = 'rejected'
        self.assertEqual(self._of_register('kkt_register_held'), 1)
        self.assertEqual(self._of_register('kkt_documents_rejected'), 1)
        receipt.sudo().write({'handled_reason': "a correction", 'handled_at': '2026-01-01 00:00:00'})
        self.assertEqual(self._of_register('kkt_documents_rejected'), 0)

    def test_delay_of_what_was_delivered(self):
        receipt = self._wait(seconds=10)
        documents = receipt | self.register.shift_id.document_ids
        documents.sudo().write({'state': 'delivered', 'delivered_at': receipt.create_date + timedelta(seconds=10)})
        self._set_in_sql(documents, create_date=receipt.create_date)
        delays = {
            labels['quantile']: value
            for labels, value in self._read()['kkt_delivery_delay_seconds']
            if labels['serial'] == self.register.serial_number
        }
        self.assertEqual(set(delays), {'0.5', '0.95'})
        self.assertTrue(all(8.9 < delay < 10.1 for delay in delays.values()), delays)
        self.assertGreater(self._of_register('kkt_last_delivery_timestamp_seconds'), 1.7e9)

    def test_breaker_and_pause(self):
        ofd = self.register.ofd_id
        ofd.breaker_id.sudo().write({'state': 'open', 'opened_at': '2026-01-01 00:00:00', 'retry_at': '2099-01-01 00:00:00'})
        ofd.sudo().paused_until = '2026-01-01 00:00:00'
        found = self._read()
        self.assertEqual([labels['kkt_breaker'] for labels, value in found['kkt_breaker'] if value], ['open'])
        self.assertEqual([value for _labels, value in found['kkt_ofd_paused']], [0])
        ofd.breaker_id.mode = 'disabled'
        self.assertEqual([labels['kkt_breaker'] for labels, value in self._read()['kkt_breaker'] if value], ['disabled'])

    def test_no_secret(self):
        self.register.ofd_id.token = "very-secret-token"
        self.env.flush_all()
        text = self.url_open('/kkt/metrics', headers={'Authorization': f"Bearer {TOKEN}"}).text
        self.assertNotIn("very-secret-token", text)
        self.assertNotIn(TOKEN, text)
