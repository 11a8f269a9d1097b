from datetime import UTC, timedelta
from unittest.mock import patch
from zoneinfo import ZoneInfo

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import KktSaleCommon

DELIVERY_CRONS = ('opterp_kkt.ir_cron_deliver_1', 'opterp_kkt.ir_cron_deliver_2')


class WatchCommon(KktSaleCommon):
    """A shop where all is well: the crons run, nothing waits for long, and the disks of the host that tests are no matter."""

    watches_disks = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env['kkt.alarm'].sudo().search([])._end()
        cls.ofd = cls.register.ofd_id
        cls.breaker = cls.ofd.breaker_id
        cls.delivery = cls.register.delivery_ids.sudo()
        cls.admin = cls._create_user('fiscal', 'base.group_user,opterp_kkt.group_fiscal_admin', email='fiscal@shop.example')

    def setUp(self):
        super().setUp()
        self._deliver_reports()
        self._set_crons(active=True, lastcall=fields.Datetime.now(), failure_count=0)
        if not self.watches_disks:
            self.patch(self.registry['kkt.watch'], '_get_disks', lambda watch: [])

    def _set_crons(self, **values):
        for xmlid in DELIVERY_CRONS:
            self.env.ref(xmlid).sudo().write(values)

    def _watch(self):
        self.env['kkt.watch']._cron_watch()
        self.env.invalidate_all()

    def _wait(self, **since):
        """A document that has waited for so long."""
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self._write_sql(receipt, create_date=self.env.cr.now() - timedelta(**since))
        return receipt

    def _write_sql(self, records, **values):
        self.env.flush_all()
        columns = ", ".join(f"{name} = %s" for name in values)
        self.env.cr.execute(f"UPDATE {records._table} SET {columns} WHERE id = ANY(%s)", [*values.values(), records.ids])
        self.env.invalidate_all()

    def _end_waiting(self, receipt):
        self.env.cr.execute("UPDATE kkt_receipt SET state = 'delivered', delivered_at = now() WHERE id = %s", [receipt.id])
        self.env.invalidate_all()

    def _let_pass(self, **time):
        """Causes that were seen have been there for so much longer."""
        self.env.flush_all()
        self.env.cr.execute("UPDATE kkt_alarm SET first_seen = first_seen - %s", [timedelta(**time)])
        self.env.invalidate_all()

    def _forget(self):
        self.env['kkt.alarm'].sudo().search([])._end()

    def _alarms(self, kind=None):
        """Alarms that people are told of."""
        return self.env['kkt.alarm'].search([('told_level', '>', 0)] + [('kind', '=', kind)] * bool(kind))

    def _activities(self, user=None):
        return self.env['mail.activity'].search([('kkt_alarm_id', '!=', False), ('user_id', '=', (user or self.admin).id)])

    def _mails(self):
        return self.env['mail.mail'].sudo().search([('recipient_ids', 'in', self.admin.partner_id.ids)])

    def _assert_alarm(self, kind, record, level=1):
        self._watch()
        self.assertRecordValues(self._alarms(kind), [{'res_model': record._name, 'res_id': record.id, 'level': level}])
        return self._alarms(kind)

    def _assert_none(self, kind=None):
        self._watch()
        self.assertFalse(self._alarms(kind), kind)


@tagged('post_install', '-at_install')
class TestWatch(WatchCommon):
    """What people are told of, and when it is over."""

    def test_all_is_well(self):
        self._wait(minutes=59)
        self._assert_none()
        self.assertFalse(self._activities())

    # -- what waits --------------------------------------------------------------------------------------------------------

    def test_steps_of_age(self):
        receipt = self._wait(minutes=59)
        for level, since in enumerate(
            (timedelta(minutes=59), timedelta(hours=1), timedelta(days=1), timedelta(days=25), timedelta(days=30))
        ):
            with self.subTest(since=since):
                self._write_sql(receipt, create_date=self.env.cr.now() - since + timedelta(seconds=1))
                self._forget()
                self._watch()
                self.assertEqual(self._alarms().level, max(level - 1, 0), "one second before")
                self._write_sql(receipt, create_date=self.env.cr.now() - since)
                self._watch()
                self.assertEqual(self._alarms().level, level)

    def test_each_step_is_told_once(self):
        receipt = self._wait(hours=2)
        for step, since in enumerate((2, 3, 25, 26), start=1):
            self._write_sql(receipt, create_date=self.env.cr.now() - timedelta(hours=since))
            self._watch()
            self.assertEqual(len(self._mails()), 1 if step < 3 else 2)
            self.assertEqual(len(self._activities()), 1)
        alarm = self._alarms()
        self.assertEqual((alarm.kind, alarm.level, alarm.told_level), ('overdue', 2, 2))

    def test_overdue_says_what_it_means(self):
        receipt = self._wait(days=26)
        self._wait(minutes=1)
        deadline = fields.Datetime.to_string(receipt.create_date + timedelta(days=30))
        alarm = self._assert_alarm('overdue', self.register, level=3)
        self.assertEqual(
            alarm.facts,
            {'count': 2, 'oldest': fields.Datetime.to_string(receipt.create_date), 'deadline': deadline, 'reason': None},
        )
        self.assertIn("OFD: 2,", alarm.happened)
        self.assertIn("blocks", alarm.meaning)
        self.assertIn("Call the OFD today", alarm.to_do)

    def test_overdue_says_what_stands_in_the_way(self):
        self._wait(hours=2)
        later = self.env.cr.now() + timedelta(hours=1)
        for record, values, reason in (
            (self.ofd, {'paused_until': later}, 'paused'),
            (self.breaker, {'state': 'open', 'retry_at': later, 'opened_at': later}, 'open'),
            (self.breaker, {'mode': 'forced_open'}, 'forced_open'),
            (self.delivery, {'hold_cause': 'refused', 'hold_reason': "refused"}, 'held'),
        ):
            self._write_sql(record, **dict(reversed(values.items())))
            self.assertEqual(self._assert_alarm('overdue', self.register).facts['reason'], reason)

    def test_archived_register_is_watched(self):
        self._wait(hours=2)
        self._archive_register()
        self._assert_alarm('overdue', self.register)

    def test_delivered_ends_it(self):
        receipt = self._wait(hours=2)
        self._assert_alarm('overdue', self.register)
        self._end_waiting(receipt)
        self._assert_none()
        self.assertFalse(self.env['kkt.alarm'].search([]))
        self.assertFalse(self._activities())

    def test_what_falls_back_a_step_is_told_again_when_it_rises(self):
        first, second = self._wait(days=2), self._wait(hours=2)
        self._assert_alarm('overdue', self.register, level=2)
        self._end_waiting(first)
        self._assert_alarm('overdue', self.register, level=1)
        self.assertEqual(len(self._mails()), 1)
        self._write_sql(second, create_date=self.env.cr.now() - timedelta(days=1))
        self._assert_alarm('overdue', self.register, level=2)
        self.assertEqual(len(self._mails()), 2)

    # -- held, rejected ----------------------------------------------------------------------------------------------------

    def test_held(self):
        receipt = self._wait(minutes=1)
        self.delivery.write({'hold_cause': 'refused', 'hold_reason': "422: bad_vat", 'hold_receipt_id': receipt.id})
        alarm = self._assert_alarm('held', self.register)
        self.assertIn("422: bad_vat", alarm.happened)
        self.assertIn(receipt.display_name, alarm.happened)
        self.register.action_release_hold()
        self._assert_none()

    def test_an_alarm_is_in_the_log_once(self):
        self._wait(minutes=1)
        self.delivery.write({'hold_cause': 'by_hand', 'hold_reason': "Held by Ann."})
        with self.assertLogs('odoo.addons.opterp_kkt.models.kkt_alarm', 'WARNING') as log:
            self._watch()
            self._watch()
        self.assertEqual(len(log.output), 1)
        self.assertIn("Held by Ann.", log.output[0])

    def test_rejected_until_handled(self):
        _order, receipt = self._sell_unbuildable()
        alarm = self._assert_alarm('rejected', self.register)
        self.assertIn(receipt.last_error, alarm.happened)
        receipt._handle("done by hand")
        self._assert_none()

    def test_rejected_counts(self):
        self._sell_unbuildable()
        self._watch()
        activity = self._activities()
        self._sell_unbuildable()
        self._watch()
        self.assertEqual(self._activities(), activity, "updated in place")
        self.assertIn("(2)", activity.summary)
        self.assertEqual(len(self._mails()), 1)

    # -- clocks ------------------------------------------------------------------------------------------------------------

    def _set_clock(self, ahead):
        self.env.cr.execute("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        self._write_sql(self.register, hlc_local_time=self.env.cr.fetchone()[0] + ahead)

    def test_clock_ahead(self):
        self._set_clock(60_000)
        self._assert_none()
        self._set_clock(3_600_000)
        self.assertRegex(self._assert_alarm('clock', self.register).title, "3[0-9]{3} s")
        self._set_clock(-10_000)
        self._assert_none()

    def test_till_clock(self):
        stamp = {'local_time': 2**47, 'logical_counter': 0, 'node': 'ipad'}
        receipt = self._sell([(self.frame, 1)], kkt_hlc=stamp).kkt_receipt_ids
        self.assertTrue(receipt.hlc_drift)
        self.assertIn("ahead: 1", self._assert_alarm('till_clock', self.register).happened)
        self._write_sql(receipt, create_date=self.env.cr.now() - timedelta(minutes=61))
        self._assert_none('till_clock')

    # -- the OFD ------------------------------------------------------------------------------------------------------

    def test_misconfigured(self):
        receipt = self._wait(minutes=1)
        self._write_sql(self.ofd, paused_until=self.env.cr.now() + timedelta(minutes=5), pause_reason="unauthorized")
        self._write_sql(receipt, last_outcome='throttled')
        self._assert_none()
        self._write_sql(receipt, last_outcome='misconfigured')
        self.assertIn("unauthorized", self._assert_alarm('misconfigured', self.ofd).happened)
        self._write_sql(self.ofd, paused_until=self.env.cr.now() - timedelta(seconds=1))
        self._assert_alarm('misconfigured', self.ofd)
        self._write_sql(receipt, last_outcome='unknown')
        self._assert_none()

    def test_breaker_open_for_long(self):
        self._write_sql(self.breaker, retry_at=self.env.cr.now(), opened_at=self.env.cr.now(), state='open')
        self._wait(minutes=1)
        self._assert_none()
        self._let_pass(minutes=14, seconds=59)
        self._assert_none()
        self._let_pass(seconds=1)
        self._write_sql(self.breaker, state='half_open')
        self._assert_alarm('breaker', self.breaker)
        self.assertFalse(self._mails())
        self._write_sql(self.breaker, state='closed')
        self._assert_none()
        self.assertFalse(self.env['kkt.alarm'].search([]))

    def test_breaker_by_hand(self):
        for mode, words in (('forced_open', "forced"), ('disabled', "disabled")):
            self.breaker.write({'mode': mode, 'mode_reason': "maintenance"})
            self._watch()
            self.assertEqual(bool(self.env['kkt.alarm'].search([])), mode == 'disabled', "only what waits is kept back")
            receipt = self._wait(minutes=1)
            self._watch()
            self._let_pass(minutes=15)
            alarm = self._assert_alarm('breaker', self.breaker)
            self.assertIn(words, alarm.happened)
            self.assertIn("maintenance", alarm.happened)
            self._end_waiting(receipt)
            self.breaker.mode = 'automatic'
            self._assert_none()

    # -- what delivery needs -----------------------------------------------------------------------------------------------

    def test_redis(self):
        now = self.env.cr.now()
        self.delivery.write({'lease_missing': True, 'held_at': now})
        self._assert_none()
        self._let_pass(minutes=5)
        self._assert_alarm('redis', self.ofd)
        other = self._create_second_shop()[1].delivery_ids.sudo()
        other.write({'lease_missing': False, 'held_at': now})
        self._assert_alarm('redis', self.ofd)
        self.delivery.held_at = now - timedelta(minutes=11)
        self._assert_none()  # the register only rests, and others have their lease

    def test_crons(self):
        stopped = self.env.cr.now() - timedelta(minutes=11)
        for values in ({'active': False}, {'lastcall': stopped}, {'failure_count': 3}):
            with self.subTest(values=values):
                self._set_crons(**values)
                self._assert_none()
                receipt = self._wait(minutes=1)
                self._assert_none()
                self._let_pass(minutes=5)
                self._assert_alarm('crons', self.ofd)
                self.env.ref(DELIVERY_CRONS[1]).sudo().write(
                    {'active': True, 'lastcall': fields.Datetime.now(), 'failure_count': 0}
                )
                self._assert_none()
                self._end_waiting(receipt)


@tagged('post_install', '-at_install')
class TestTelling(WatchCommon):
    """Who is told, how, and how often."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cashier = cls._create_user('cashier', 'base.group_user,point_of_sale.group_pos_user')
        foreign = cls.env['res.company'].create({'name': "Another Shop"})
        cls.foreigner = cls._create_user(
            'foreigner', 'base.group_user,opterp_kkt.group_fiscal_admin', company_id=foreign.id, company_ids=foreign.ids
        )

    def test_fiscal_administrators_of_the_company(self):
        gone = self._create_user('gone', 'base.group_user,opterp_kkt.group_fiscal_admin', active=False)
        self._sell_unbuildable()
        self._watch()
        self.assertRecordValues(
            self._activities(),
            [
                {
                    'res_model': 'kkt.register',
                    'res_id': self.register.id,
                    'automated': True,
                    'activity_type_id': self.env.ref('opterp_kkt.mail_activity_type_alarm').id,
                    'date_deadline': fields.Date.context_today(self.register),
                }
            ],
        )
        for user in (self.cashier, self.foreigner, gone):
            self.assertFalse(self._activities(user), user.login)

    def test_the_activity_says_everything(self):
        self._sell_unbuildable()
        self._watch()
        [note] = self._activities().mapped('note')
        alarm = self._alarms()
        for text in (alarm.meaning, alarm.to_do):
            self.assertIn(text, note.replace('&#39;', "'"))

    def test_the_ofds_words_are_no_html(self):
        self.delivery.write({'hold_cause': 'refused', 'hold_reason': "<script>alert(1)</script>"})
        self._watch()
        self.assertNotIn('<script>', self._activities().note)
        self.assertNotIn('<script>', self.register.alarm_summary or '')

    def test_one_mail_for_all_that_is_new(self):
        self._sell_unbuildable()
        self.delivery.write({'hold_cause': 'refused', 'hold_reason': "422"})
        self._wait(days=2)
        self._watch()
        mail = self._mails()
        self.assertEqual(len(mail), 1)
        for alarm in self._alarms():
            self.assertIn(alarm.title, mail.body_html)
        self.assertEqual(len(self._alarms()), 3)
        self.assertIn('/mail/view?model=kkt.register&amp;res_id=', mail.body_html)
        self._watch()
        self.assertEqual(self._mails(), mail)

    def test_without_address_no_mail(self):
        self.admin.email = False
        self._sell_unbuildable()
        self._watch()
        self.assertTrue(self._activities())
        self.assertFalse(self._mails())

    def test_done_is_not_asked_again_until_it_gets_worse(self):
        receipt = self._wait(hours=2)
        self._watch()
        self._activities().action_feedback("called the OFD")
        self._watch()
        self.assertFalse(self._activities())
        self.assertTrue(self._alarms())
        self._write_sql(receipt, create_date=self.env.cr.now() - timedelta(days=1))
        self._watch()
        self.assertEqual(len(self._activities()), 1)

    def test_comes_back_with_its_cause(self):
        self.delivery.write({'hold_cause': 'refused', 'hold_reason': "422"})
        self._watch()
        self.delivery.write({'hold_cause': False, 'hold_reason': False})
        self._watch()
        self.delivery.write({'hold_cause': 'refused', 'hold_reason': "422"})
        self._watch()
        self.assertEqual((len(self._activities()), len(self._mails())), (1, 2))

    def test_texts_in_the_readers_language(self):
        self.delivery.write({'hold_cause': 'refused', 'hold_reason': "422"})
        self._watch()
        alarm = self._alarms()
        with patch.object(
            type(alarm),
            '_get_texts',
            autospec=True,
            side_effect=lambda self: self._get_held_texts({'name': self.env.lang, 'document': False, 'reason': "422"}),
        ):
            self.env['res.lang']._activate_lang('ru_RU')
            self.admin.lang = 'ru_RU'
            alarm._refresh_activities()
        self.assertIn('ru_RU', self._activities().summary)

    def test_every_kind_has_its_texts(self):
        kinds = dict(self.env['kkt.alarm']._fields['kind'].selection)
        for kind in kinds:
            self.assertTrue(hasattr(self.env['kkt.alarm'], f'_get_{kind}_texts'), kind)
            self.assertTrue(hasattr(self.env['kkt.watch'], f'_find_{kind}'), kind)

    def test_who_sees_alarms(self):
        self._sell_unbuildable()
        self._watch()
        alarm = self._alarms()
        self.assertTrue(alarm.with_user(self.cashier).read())
        self.assertFalse(alarm.with_user(self.foreigner).search([('id', '=', alarm.id)]))
        for operation in ('write', 'create', 'unlink'):
            self.assertFalse(alarm.with_user(self.admin).has_access(operation))
        self.assertEqual(alarm.with_user(self.cashier).action_open()['res_id'], self.register.id)

    def test_shared_ofd_concerns_everybody(self):
        self.ofd.company_id = False
        self._set_crons(active=False)
        self._wait(minutes=1)
        self._watch()
        self._let_pass(minutes=5)
        self._watch()
        self.assertFalse(self._alarms('crons').company_id)
        self.assertTrue(self._activities(self.foreigner))

    def test_the_register_says_it(self):
        self._wait(days=26)
        self._watch()
        self.assertIn("blocks", self.register.alarm_summary)

    def test_the_job(self):
        cron = self.env.ref('opterp_kkt.ir_cron_watch')
        self.assertEqual((cron.interval_number, cron.interval_type, cron.active), (5, 'minutes', True))
        self._sell_unbuildable()
        with self.enter_registry_test_mode(), mute_logger('odoo.addons.base.models.ir_cron'):
            cron.method_direct_trigger()
        self.assertTrue(self._alarms('rejected'))

    def test_no_row_of_a_sale_is_written(self):
        """A watch that wrote registers would make a sale of the same moment start again."""
        self._wait(days=2)
        self._sell_unbuildable()
        self.env.flush_all()
        self.env.cr.execute("SELECT xmin::text, cmin::text, write_date FROM kkt_register WHERE id = %s", [self.register.id])
        before = self.env.cr.fetchone()
        self._watch()
        self.env.flush_all()
        self.env.cr.execute("SELECT xmin::text, cmin::text, write_date FROM kkt_register WHERE id = %s", [self.register.id])
        self.assertEqual(self.env.cr.fetchone(), before)

    def test_a_sale_that_could_not_be_built_calls_the_watch(self):
        triggers = [('cron_id', '=', self.env.ref('opterp_kkt.ir_cron_watch').id)]
        self._sell([(self.frame, 1)])
        self.assertFalse(self.env['ir.cron.trigger'].search_count(triggers))
        self._sell_unbuildable()
        self.assertTrue(self.env['ir.cron.trigger'].search_count(triggers))

    def test_texts_have_the_readers_time(self):
        receipt = self._wait(hours=2)
        self.admin.tz = 'Asia/Vladivostok'
        self._watch()
        local = receipt.create_date.replace(tzinfo=UTC).astimezone(ZoneInfo('Asia/Vladivostok'))
        self.assertIn(f"{local:%-I:%M}", self._activities().summary)
