from datetime import timedelta
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .test_watch import WatchCommon


@tagged('post_install', '-at_install')
class TestAlarmButtons(WatchCommon):
    """What helps against an alarm is pressed in its row, with the rights that it asks on the record."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cashier = cls._create_user('cashier', 'base.group_user,point_of_sale.group_pos_user')
        cls.manager = cls._create_user('manager', 'base.group_user,point_of_sale.group_pos_manager')

    def _press(self, alarm, name, user=None):
        return getattr(alarm.with_user(user or self.admin), name)()

    def test_a_hold_is_released(self):
        self._sell([(self.frame, 1)])
        self.register.action_hold()
        alarm = self._assert_alarm('held', self.register)
        with self.assertRaises(AccessError):
            self._press(alarm, 'action_release_hold', self.cashier)
        self._press(alarm, 'action_release_hold', self.manager)
        self.assertFalse(self.register.hold_reason)
        self._assert_none('held')

    def test_what_does_not_pass_is_held(self):
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self._write_sql(receipt, failures=10, last_error="500")
        alarm = self._assert_alarm('stuck', self.register)
        with self.assertRaises(AccessError):
            self._press(alarm, 'action_hold', self.manager)
        self._press(alarm, 'action_hold')
        self.assertTrue(self.register.hold_reason)
        self._assert_none('stuck')

    def test_what_waits_is_delivered(self):
        self._wait(hours=2)
        alarm = self._assert_alarm('overdue', self.register)
        result = {'delivered': 1, 'rejected': 0, 'waiting': 0, 'busy': []}
        with patch.object(self.registry['kkt.delivery'], '_deliver_now', return_value=result) as deliver:
            with self.assertRaises(AccessError):
                self._press(alarm, 'action_deliver', self.cashier)
            self.assertEqual(self._press(alarm, 'action_deliver', self.manager)['params']['message'], "Delivered: 1.")
        self.assertEqual(deliver.call_args.args, (self.register,))

    def _deliver_in_vain(self, registers):
        """What *Deliver now* says when nothing went."""
        result = {'delivered': 0, 'rejected': 0, 'waiting': len(registers), 'busy': []}
        with patch.object(self.registry['kkt.delivery'], '_deliver_now', return_value=result):
            return registers.with_user(self.manager).action_deliver_now()['params']['message']

    def test_deliver_now_says_why_nothing_went_and_when_the_next_try_is(self):
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self.assertEqual(self._deliver_in_vain(self.register), "Still waiting: 1.", "nothing stands in the way")
        now = self._get_clock()
        self._write_sql(receipt, next_attempt_at=now + timedelta(seconds=50), attempts=1, last_outcome='unknown')
        self.assertRegex(self._deliver_in_vain(self.register), r"The last try did not succeed\..* Next try in [0-9]+ s\.$")
        self._write_sql(self.breaker, state='open', opened_at=now, retry_at=now + timedelta(seconds=50))
        self.assertRegex(self._deliver_in_vain(self.register), r"The OFD failed several times in a row.* Next try in [0-9]+ s\.$")
        self._write_sql(self.breaker, recovery_timeout=3600, retry_at=now + timedelta(seconds=3000))
        self.assertRegex(self._deliver_in_vain(self.register), r" Next try in [0-9]+ min\.$")
        self.register.action_hold()
        self.assertRegex(self._deliver_in_vain(self.register), "This register is held")

    def test_what_stands_in_the_way_of_several_is_said_once(self):
        _config, other = self._create_second_shop()
        other.ofd_id = self.ofd
        self._sell([(self.frame, 1)])
        other.sudo().action_open_shift()
        self.breaker.write({'mode': 'forced_open', 'mode_reason': "maintenance"})
        said = self._deliver_in_vain(self.register + other)
        self.assertEqual(said.count("forced open (maintenance)"), 1)
        self.assertIn(f"{self.register.name}, {other.name}: ", said)

    def test_rejected_documents_are_listed(self):
        _order, receipt = self._sell_unbuildable()
        alarm = self._assert_alarm('rejected', self.register)
        action = self._press(alarm, 'action_open_rejected', self.cashier)
        self.assertEqual(self.env['kkt.receipt'].search(action['domain']), receipt)

    def test_a_breaker_decides_by_itself_again(self):
        self._wait(minutes=1)
        self.breaker.write({'mode': 'forced_open', 'mode_reason': "maintenance"})
        self._watch()
        self._let_pass(minutes=15)
        alarm = self._assert_alarm('breaker', self.breaker)
        self.assertEqual(alarm.breaker_mode, 'forced_open')
        with self.assertRaises(AccessError):
            self._press(alarm, 'action_set_automatic', self.manager)
        self._press(alarm, 'action_set_automatic')
        self.assertRecordValues(self.breaker, [{'mode': 'automatic', 'mode_reason': False}])
        self._assert_none('breaker')

    def test_the_ofd_of_each_kind_is_asked(self):
        self._wait(hours=2)
        self.breaker.write({'mode': 'forced_open', 'mode_reason': "maintenance"})
        self._watch()
        for alarm in self.env['kkt.alarm'].sudo().search([]):
            self.assertEqual(alarm._get_ofds(), self.ofd, alarm.kind)
            self.assertEqual(alarm._get_registers(), self.register, alarm.kind)

    def test_a_shift_is_closed(self):
        self._set_in_sql(self.register, shift_opened_time=self.register.shift_opened_time - 23.5 * 3600 * 1000)
        alarm = self._assert_alarm('shift', self.register)
        self._press(alarm, 'action_close_shift', self.manager)
        self.assertFalse(self.register.shift_id)
        self._assert_none('shift')

    def test_what_is_gone_is_told(self):
        alarm = self.env['kkt.alarm'].sudo()._begin('held', self.register, self.env.cr.now())
        alarm.res_id = 0
        with self.assertRaisesRegex(UserError, "not there any more"):
            self._press(alarm, 'action_release_hold')
