import io
import json
import os
from contextlib import redirect_stdout
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import HttpCase, tagged

from odoo.addons.opterp_kkt.cli.kkt import Kkt

from .common import KktSaleCommon

JOBS = ('opterp_kkt.ir_cron_deliver_1', 'opterp_kkt.ir_cron_deliver_2', 'opterp_kkt.ir_cron_watch')
DEAD_REDIS = {'ODOO_KKT_REDIS_URL': 'redis://127.0.0.1:9/0'}


class HealthCommon(KktSaleCommon):
    """A shop where all is well: the jobs were just called, nothing waits."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.cr.execute("UPDATE kkt_ofd SET active = FALSE WHERE id <> %s", [cls.register.ofd_id.id])
        cls.jobs = cls.env['ir.cron'].sudo().union(*(cls.env.ref(xmlid) for xmlid in JOBS))
        cls.delivery_jobs = cls.jobs[:2]

    def setUp(self):
        super().setUp()
        self._deliver_reports()
        self._set_jobs(self.jobs, active=True, lastcall=fields.Datetime.now(), failure_count=0)

    def _set_jobs(self, jobs, **values):
        jobs.write(values)
        self.env.flush_all()

    def _wait(self, **since):
        """A document that has waited for so long."""
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self._set_in_sql(receipt, create_date=self._get_clock() - timedelta(**since))
        return receipt

    def _make_older(self, receipt, **time):
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE kkt_receipt SET create_date = create_date - %s WHERE id = %s", [timedelta(**time), receipt.id]
        )
        self.env.invalidate_all()

    def _hold(self, receipt):
        self.register.delivery_ids.sudo().write(
            {'hold_cause': 'refused', 'hold_reason': "no such rate", 'hold_receipt_id': receipt.id}
        )
        self.env.flush_all()


@tagged('post_install', '-at_install')
class TestHealthHttp(HealthCommon, HttpCase):
    """`GET /kkt/health` as monitoring asks it: without login, without a cookie."""

    def _ask(self):
        self.env.flush_all()
        response = self.url_open('/kkt/health', timeout=600)
        report = response.json()
        codes = [reason['code'] for reason in report['reasons']]
        self.assertEqual(response.status_code, 503 if codes else 200)
        self.assertEqual(report['status'], 'fail' if codes else 'pass')
        self.assertEqual(response.headers['Cache-Control'], 'no-store')
        self.assertTrue(all(reason['text'] for reason in report['reasons'] + report['warnings']))
        return codes, report

    def test_all_is_well(self):
        codes, report = self._ask()
        self.assertEqual(codes, [])
        self.assertEqual(report['breakers'], {'closed': 1})
        self.assertEqual((report['oldest_seconds'], report['delivery_jobs']), (None, 2))

    def test_a_document_that_waits(self):
        receipt = self._wait(minutes=1)
        codes, report = self._ask()
        self.assertEqual(codes, [])
        self.assertGreaterEqual(report['oldest_seconds'], 60)
        self._make_older(receipt, minutes=5)
        self.assertEqual(self._ask()[0], ['late'])

    def test_no_business_data(self):
        self._wait(minutes=6)
        text = self.url_open('/kkt/health', timeout=600).text
        for secret in (self.register.name, self.register.ofd_id.name, self.company.name, self.register.fiscal_drive_number):
            self.assertNotIn(secret, text)

    def test_an_archived_register_waits_too(self):
        self._wait(minutes=6)
        self._archive_register()
        self.assertEqual(self._ask()[0], ['late'])

    def test_rejected_is_business(self):
        receipt = self._wait(minutes=6)
        receipt.sudo().state = 'rejected'
        self.assertEqual(self._ask()[0], [])

    def test_held_is_business_once_somebody_was_told(self):
        self._hold(self._wait(minutes=6))
        self.assertEqual(self._ask()[0], ['held_untold'])
        self.env['kkt.alarm'].sudo().create(
            {
                'kind': 'held',
                'res_model': 'kkt.register',
                'res_id': self.register.id,
                'level': 1,
                'told_level': 1,
                'first_seen': self.env.cr.now(),
                'last_seen': self.env.cr.now(),
            }
        )
        self.assertEqual(self._ask()[0], [])

    def test_no_delivery_job(self):
        self._set_jobs(self.delivery_jobs[0], active=False)
        self.assertEqual(self._ask()[0], [])
        self._set_jobs(self.delivery_jobs, active=False)
        self.assertEqual(self._ask()[0], ['no_delivery_job'])
        self.delivery_jobs.unlink()
        self.assertEqual(self._ask()[0], ['no_delivery_job'])

    def test_a_copied_job_counts(self):
        copy = self.delivery_jobs[0].copy()
        self._set_jobs(self.delivery_jobs, active=False)
        self._set_jobs(copy, active=True, lastcall=fields.Datetime.now())
        self.assertEqual(self._ask()[0], [])

    def test_jobs_that_nobody_calls(self):
        self._set_jobs(self.jobs, lastcall=fields.Datetime.now() - timedelta(hours=1))
        self.assertEqual(self._ask()[0], ['delivery_silent', 'watch_silent'])

    def test_jobs_called_in_the_future(self):
        """The database's clock was set back."""
        self._set_jobs(self.delivery_jobs, lastcall=fields.Datetime.now() + timedelta(hours=1))
        self.assertEqual(self._ask()[0], ['delivery_silent'])

    def test_whoever_holds_a_guard_delivers(self):
        self._set_jobs(self.delivery_jobs, lastcall=fields.Datetime.now() - timedelta(hours=1))
        self.env.cr.execute("SELECT pg_advisory_xact_lock(4934484, %s)", [self.register.id])
        self.assertEqual(self._ask()[0], [])

    def test_redis_is_a_warning(self):
        with patch.dict(os.environ, DEAD_REDIS):
            codes, report = self._ask()
        self.assertEqual((codes, report['redis']), ([], False))
        self.assertEqual([warning['code'] for warning in report['warnings']], ['redis'])

    def test_breaker_and_pause_are_warnings(self):
        ofd = self.register.ofd_id
        ofd.breaker_id.mode = 'forced_open'
        ofd.sudo().paused_until = self._get_clock() + timedelta(minutes=5)
        codes, report = self._ask()
        self.assertEqual(codes, [])
        self.assertLessEqual({'forced_open', 'paused'}, {warning['code'] for warning in report['warnings']})


@tagged('post_install', '-at_install')
class TestHealth(HealthCommon):
    """What the till asks for, and what the register's form says."""

    def setUp(self):
        super().setUp()
        self.cashier = self._create_user('cashier', 'base.group_user,point_of_sale.group_pos_user')

    def _ask(self):
        self.env.invalidate_all()
        return self.register.with_user(self.cashier).get_health()

    def _say(self, lang='en_US'):
        self.env.flush_all()
        self.env.invalidate_all()
        return self.register.with_context(lang=lang).queue_text or ""

    def test_only_who_may_read_the_register_asks(self):
        portal = self._create_user('portaluser', 'base.group_portal')
        foreign = self.env['res.company'].create({'name': "Another Shop"})
        foreigner = self._create_user('foreigner', 'base.group_user,point_of_sale.group_pos_user', company_id=foreign.id)
        for user in (portal, foreigner):
            with self.assertRaises(AccessError):
                self.register.with_user(user).get_health()

    def test_till_hears_of_its_own_register(self):
        said = self._ask()
        self.assertGreater(said.pop('time'), 1.7e9)
        shift = said.pop('shift')
        self.assertTrue(0 <= shift.pop('age') < 3600)
        self.assertEqual(shift, {'id': self.register.shift_id.id, 'number': 1, 'refuses': False})
        self.assertLess(said.pop('delivered'), 3600)
        nothing = {'waiting': 0, 'rejected': 0, 'oldest': 0, 'obstacle': False, 'next_in': None}
        self.assertEqual(said, {**nothing, 'words': False, 'lease_missing': False})
        self._wait(minutes=6)
        _config, other = self._create_second_shop()
        answer = self._ask()
        self.assertEqual((answer['waiting'], answer['obstacle'], answer['next_in']), (1, False, 0))
        self.assertGreaterEqual(answer['oldest'], 360)
        self.assertEqual(other.with_user(self.cashier).get_health()['waiting'], 0)

    def test_till_hears_what_stands_in_the_way(self):
        receipt = self._wait(minutes=6)
        self._set_jobs(self.delivery_jobs, active=False)
        self.assertEqual(self._ask()['obstacle'], 'no_delivery_job')
        self.register.ofd_id.breaker_id.mode = 'forced_open'
        self.assertEqual(self._ask()['obstacle'], 'forced_open')
        self._hold(receipt)
        self.assertEqual(self._ask()['obstacle'], 'held')

    def test_till_hears_that_nothing_delivers_before_anything_waits(self):
        self._set_jobs(self.delivery_jobs, active=False)
        self.assertEqual(self._ask()['obstacle'], 'no_delivery_job')

    def test_till_hears_of_the_breaker(self):
        breaker = self.register.ofd_id.sudo().breaker_id
        retry_at = self.env.cr.now() + timedelta(minutes=40)  # this transaction may have begun minutes ago
        breaker.sudo().write({'state': 'open', 'retry_at': retry_at, 'recovery_timeout': 3600})
        self.assertEqual(self._ask()['obstacle'], 'open')
        receipt = self._wait(seconds=1)
        answer = self._ask()
        self.assertEqual(answer['obstacle'], 'open')
        self.assertTrue(0 < answer['next_in'] <= 2400)
        breaker.sudo().write({'state': 'half_open', 'retry_at': False})
        self.assertEqual(self._ask()['obstacle'], 'open', "it may fail again")
        receipt.sudo().write({'state': 'delivered', 'delivered_at': self.env.cr.now()})
        self.assertFalse(self._ask()['obstacle'], "it took the last one, and none waits")

    def test_till_hears_the_ofds_words(self):
        receipt = self._wait(minutes=1)
        receipt.sudo().last_error = "HTTP 500"
        self.assertEqual(self._ask()['words'], "HTTP 500")
        rejected = self._sell_unbuildable()[1]
        self.assertEqual(self._ask()['words'], rejected.last_error)

    def test_till_hears_of_the_last_delivery(self):
        for minutes in (9, 7):
            receipt = self._wait(minutes=10)
            now = self._get_clock()
            receipt.sudo().write({'state': 'delivered', 'delivered_at': now - timedelta(minutes=minutes)})
        self._wait(minutes=1)
        delivered = self._ask()['delivered']
        self.assertGreaterEqual(delivered, 7 * 60)
        self.assertLessEqual(delivered, 7 * 60 + (self._get_clock() - now).total_seconds())

    def test_handled_is_not_rejected(self):
        receipt = self._sell_unbuildable()[1]
        self.assertEqual(self._ask()['rejected'], 1)
        receipt._handle("put right by hand")
        self.assertEqual(self._ask()['rejected'], 0)

    def test_what_is_on_its_way_needs_no_words(self):
        self._wait(seconds=1)
        self.assertFalse(self._say())

    def test_what_is_being_sent_is_first(self):
        """Also when a document with a lower number was put back into the queue."""
        self._wait(minutes=1)
        second = self._wait(seconds=1)
        second.sudo().write({'state': 'sending'})
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(self.register.head_id, second)

    def test_form_tells_what_the_head_waits_for(self):
        receipt = self._wait(minutes=6)
        receipt.sudo().write(
            {
                'attempts': 15,
                'last_outcome': 'unknown',
                'last_status': 500,
                'last_error': "HTTP 500",
                'in_doubt': True,
                'next_attempt_at': fields.Datetime.now() + timedelta(minutes=1),
            }
        )
        text = self._say()
        for words in ("Receipt (FD 2)", "Tries: 15", "The OFD answers, but", "HTTP 500", "asked for it", "Next try in "):
            self.assertIn(words, text)
        receipt.sudo().last_status = False
        self.assertIn("The OFD did not answer", self._say())
        receipt.sudo().write({'absent': True, 'in_doubt': False})
        self.assertIn("says that it does not have it", self._say())

    def test_buttons_for_what_never_passes(self):
        receipt = self._wait(minutes=6)
        self._say()
        self.assertFalse(self.register.head_is_handleable)
        receipt.sudo().write({'failures': 10, 'last_outcome': 'unknown'})
        self._say()
        self.assertTrue(self.register.head_is_handleable)
        self.assertEqual(self.register.action_handle_head()['context'], {'default_receipt_ids': receipt.ids})

    def test_form_tells_why_it_stands_still(self):
        receipt = self._wait(minutes=6)
        self._set_jobs(self.delivery_jobs, active=False)
        self.assertIn("the delivery jobs are deleted or switched off", self._say())
        self._set_jobs(self.delivery_jobs, active=True)
        ofd = self.register.ofd_id.sudo()
        ofd.write({'paused_until': self._get_clock() + timedelta(minutes=5), 'pause_reason': "HTTP 403"})
        self.assertIn("HTTP 403", self._say())
        ofd.breaker_id.write({'mode': 'forced_open', 'mode_reason': "maintenance"})
        self.assertIn("forced open (maintenance)", self._say())
        self._hold(receipt)
        self.assertIn("no such rate", self._say())

    def test_the_ofds_words_are_no_markup(self):
        self._hold(self._wait(minutes=6))
        self.register.delivery_ids.sudo().hold_reason = "<script>alert(1)</script>"
        self.assertIn("&lt;script&gt;", self._say())


@tagged('post_install', '-at_install')
class TestStatusCommand(HealthCommon):
    """`odoo kkt status`: the exit status, and what it prints."""

    def _run(self, as_json=True):
        self.env.flush_all()
        self.env.invalidate_all()
        printed = io.StringIO()
        with redirect_stdout(printed):
            status = Kkt()._status(self.env, SimpleNamespace(json=as_json, devices=False))
        return status, json.loads(printed.getvalue()) if as_json else printed.getvalue()

    def _get_row(self):
        rows = self._run()[1]['registers']
        return next((row for row in rows if row['register'] == self.register.name), None)

    def test_healthy(self):
        status, report = self._run()
        self.assertEqual((status, report['status'], report['reasons']), (0, 'pass', []))
        self.assertIn("\nhealthy", self._run(as_json=False)[1])

    def test_unhealthy(self):
        self._set_jobs(self.delivery_jobs, active=False)
        self._wait(minutes=6)
        status, report = self._run()
        self.assertEqual((status, [reason['code'] for reason in report['reasons']]), (1, ['no_delivery_job', 'late']))
        self.assertIn("UNHEALTHY\n  No delivery job is left", self._run(as_json=False)[1])

    def test_what_the_head_of_a_queue_waits_for(self):
        receipt = self._wait(minutes=6)
        receipt.sudo().write(
            {'attempts': 3, 'last_error': "HTTP 500", 'next_attempt_at': fields.Datetime.now() + timedelta(minutes=1)}
        )
        row = self._get_row()
        self.assertEqual((row['waiting'], row['tries'], row['last_error'], row['waits_for']), (1, 3, "HTTP 500", 'backoff'))
        self.assertTrue(row['oldest'] and row['next_try'])

    def test_archived_register_with_a_queue(self):
        receipt = self._wait(minutes=1)
        self._archive_register()
        self.assertTrue(self._get_row()['archived'])
        self.assertIn(self.register, Kkt()._find(self.env))
        self._deliver_reports()
        receipt.sudo().write({'state': 'pending', 'delivered_at': False})
        self.assertTrue(self._get_row())
        receipt.sudo().state = 'rejected'
        self.assertIsNone(self._get_row())
