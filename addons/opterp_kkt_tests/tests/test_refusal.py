from contextlib import contextmanager, nullcontext
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from .delivering import ACCEPTED, CONFLICT, FAILED, REFUSED, DeliveryCommon

REASON = "Put right by correction receipt FD 12"


@tagged('post_install', '-at_install')
class TestRefusal(DeliveryCommon):
    """A document that the OFD refuses is rejected at once, for a person to retry or to close as handled."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manager = cls._create_user('manager', 'base.group_user,point_of_sale.group_pos_manager')

    def _refuse(self, receipt, answer=REFUSED):
        self.receiver.verdicts[receipt.idempotency_key] = answer
        self._deliver()

    def _sell_refused(self):
        receipt = self._sell_receipt()
        self._refuse(receipt)
        return receipt

    def _handle(self, receipts, reason=REASON):
        """What the dialog does."""
        action = receipts.action_handle()
        form = Form(self.env[action['res_model']].with_context(**action['context']))
        form.reason = reason
        form.save().action_confirm()

    # -- refused -----------------------------------------------------------------------------------------------------------

    def test_refused_is_rejected_with_the_ofds_words(self):
        receipt = self._sell_refused()
        self.assertRecordValues(
            receipt, [{'state': 'rejected', 'last_error': "bad_vat: no such rate", 'attempts': 1, 'in_doubt': False}]
        )
        self.assertRecordValues(
            receipt.attempt_ids, [{'outcome': 'refused', 'http_status': 422, 'message': "bad_vat: no such rate"}]
        )

    def test_register_goes_on(self):
        self._sell_refused()
        second = self._sell_receipt()
        self._deliver()
        self.assertEqual(second.state, 'delivered')
        self.assertFalse(self.register.hold_reason)

    def test_register_holds_when_the_ofds_setting_says_so(self):
        self.register.ofd_id.on_refusal = 'hold'
        receipt = self._sell_refused()
        self.assertRecordValues(self.register, [{'hold_reason': REFUSED.message, 'hold_receipt_id': receipt.id}])
        second = self._sell_receipt()
        self._deliver()
        self.assertEqual(second.state, 'pending')
        self.register.action_release_hold()
        self._deliver()
        self.assertRecordValues(receipt + second, [{'state': 'rejected'}, {'state': 'delivered'}])
        self.assertFalse(self.register.hold_receipt_id)

    def test_conflict_holds_always(self):
        receipt = self._sell_receipt()
        self._refuse(receipt, CONFLICT)
        self.assertRecordValues(
            self.register.delivery_ids,
            [{'hold_cause': 'conflict', 'hold_reason': CONFLICT.message, 'hold_receipt_id': receipt.id}],
        )
        self.assertIn(CONFLICT.message, self.register.hold_reason)

    def test_the_watch_is_called(self):
        self._sell_receipt()
        self._deliver()
        self.assertFalse(self.worker.told)
        self._sell_refused()
        self.assertEqual(self.worker.told, 1)
        cron = self.env.ref('opterp_kkt.ir_cron_watch')
        before = self.env['ir.cron.trigger'].search_count([('cron_id', '=', cron.id)])
        with self.enter_registry_test_mode():
            self.env['kkt.delivery']._wake_watch()
        self.assertEqual(self.env['ir.cron.trigger'].search_count([('cron_id', '=', cron.id)]), before + 1)

    def test_retry_sends_the_same_key_and_bytes(self):
        receipt = self._sell_refused()
        del self.receiver.verdicts[receipt.idempotency_key]
        receipt.action_retry()
        self._deliver()
        self.assertEqual(receipt.state, 'delivered')
        first, second = self.receiver.sent
        self.assertEqual(first, second)

    # -- handled -----------------------------------------------------------------------------------------------------------

    def test_handled_counts_no_more(self):
        receipt = self._sell_refused()
        self.assertEqual(self.register.rejected_count, 1)
        self._handle(receipt)
        self.assertRecordValues(receipt, [{'state': 'rejected', 'handled_reason': REASON, 'handled_by': self.env.uid}])
        self.assertTrue(receipt.handled_at)
        self.register.invalidate_recordset()
        self.assertEqual(self.register.rejected_count, 0)
        self.assertIn(REASON, self.register.message_ids[0].body)

    def test_handling_asks_for_a_reason(self):
        receipt = self._sell_refused()
        with self.assertRaisesRegex(AssertionError, 'reason is a required field'):
            self._handle(receipt, False)
        with self.assertRaisesRegex(UserError, "reason"):
            self._handle(receipt, "  ")

    def test_handled_once(self):
        receipt = self._sell_refused()
        self._handle(receipt)
        with self.assertRaisesRegex(UserError, "already"):
            self._handle(receipt)

    def test_a_document_that_could_not_be_built_is_handled(self):
        _order, receipt = self._sell_unbuildable()
        self._handle(receipt)
        self.assertRecordValues(receipt, [{'state': 'rejected', 'handled_reason': REASON, 'fd_number': 0}])

    def test_handling_lets_the_register_go_on(self):
        self.register.ofd_id.on_refusal = 'hold'
        other, receipt = self._sell_unbuildable()[1], self._sell_refused()
        self._handle(other)
        self.assertTrue(self.register.hold_reason, "it is not held for that one")
        self._handle(receipt)
        self.assertFalse(self.register.hold_reason)

    def test_what_is_delivered_by_itself_is_not_handled(self):
        pending, delivered = self._sell_receipt(), self._sell_receipt()
        for receipt in (pending, delivered):
            with self.subTest(state=receipt.state), self.assertRaisesRegex(UserError, "by itself"):
                self._handle(receipt)
            self._deliver()
        self.register.delivery_ids.sudo().write({'hold_cause': 'by_hand', 'hold_reason': "held for another one"})
        waiting = self._sell_receipt()
        with self.assertRaisesRegex(UserError, "by itself"):
            self._handle(waiting)

    def test_fiscal_administrators_handle(self):
        receipt = self._sell_refused().with_user(self.manager)
        for refused in (receipt.action_handle, lambda: receipt._handle(REASON)):
            with self.assertRaises(AccessError):
                refused()
        with self.assertRaises(AccessError):
            self.env['kkt.receipt.handle'].with_user(self.manager).create({'receipt_ids': receipt.ids, 'reason': REASON})

    def test_only_a_fiscal_administrator_opens_it_again(self):
        receipt, other = self._sell_refused(), self._sell_refused()
        unbuilt = self._sell_unbuildable()[1]
        self._handle(receipt + unbuilt)
        unbuilt.pos_order_id.lines.tax_ids.kkt_vat_rate = '11'
        for receipts in (receipt, unbuilt, receipt + other):
            with self.subTest(receipts=receipts), self.assertRaisesRegex(AccessError, REASON):
                receipts.with_user(self.manager).action_retry()
        self.assertEqual(set((receipt + other + unbuilt).mapped('state')), {'rejected'})
        self.assertTrue(receipt.handled_at)
        self.assertFalse(unbuilt.payload)
        (receipt + unbuilt).action_retry()
        self.assertIn("is tried again", self.register.message_ids[0].body)
        self.assertEqual((receipt + unbuilt).mapped('state'), ['pending', 'pending'])
        self.assertFalse(unbuilt.handled_at)

    def test_retry_does_not_queue_for_an_archived_ofd(self):
        receipt = self._sell_refused()
        self._archive_register()
        self._deliver_reports()
        self.register.ofd_id.active = False
        with self.assertRaisesRegex(UserError, "is archived"):
            receipt.action_retry()
        self.assertEqual(receipt.state, 'rejected')

    def test_what_still_cant_be_built_is_open_again(self):
        unbuilt = self._sell_unbuildable()[1]
        self._handle(unbuilt)
        unbuilt.action_retry()
        self.assertRecordValues(unbuilt, [{'state': 'rejected', 'handled_at': False}])

    def test_retry_opens_it_again(self):
        receipt = self._sell_refused()
        self._handle(receipt)
        receipt.action_retry()
        self.assertRecordValues(
            receipt, [{'state': 'pending', 'handled_at': False, 'handled_by': False, 'handled_reason': False}]
        )
        self._deliver()
        self.register.invalidate_recordset()
        self.assertEqual(self.register.rejected_count, 1)


@tagged('post_install', '-at_install')
class TestPoison(DeliveryCommon):
    """A document that only ever fails while others pass holds its register; in an outage nothing is held."""

    def setUp(self):
        super().setUp()
        self.env['ir.config_parameter'].sudo().set_param('opterp_kkt.poison_tries', self.worker.settings.poison_tries)
        self.poison = self._sell_receipt()
        self.next = self._sell_receipt()
        self.receiver.verdicts[self.poison.idempotency_key] = FAILED
        config, self.other_register = self._create_second_shop()
        self.other_register.ofd_id = self.register.ofd_id
        self.breaker = self.register.ofd_id.breaker_id
        self._open_session(config)

    def _fail(self, count):
        """The poison fails, and each time another register's document passes."""
        for _number in range(count):
            self._deliver(self.register)
            self._pass_other()

    def _pass_other(self):
        receipt = self._sell([(self.frame, 1)], [(self.bank_pm1, 8900)]).kkt_receipt_ids
        self._deliver(self.other_register, self.other_register.pending_count)
        self.assertEqual(receipt.state, 'delivered')

    def _count_sent(self):
        return sum(key == self.poison.idempotency_key for key, _payload in self.receiver.sent)

    def _fail_in_outage(self, count):
        """The poison fails, and nothing else passes; somebody closes the breaker again and again."""
        for _number in range(count):
            self.breaker.sudo()._reset()
            self._deliver()
        self.breaker.sudo()._reset()

    def test_held_after_so_many_tries(self):
        self._fail(4)
        self.assertFalse(self.register.hold_reason)
        self.assertEqual(self.poison.lone_failures, 3)
        self._fail(1)
        self.assertEqual(self._count_sent(), 4, "the last time it was only asked for")
        self.assertEqual(self.register.delivery_ids.hold_reason, FAILED.message)
        self.assertIn("says that it does not have it", self.register.hold_reason)
        self.assertIn(FAILED.message, self.register.hold_reason)
        self.assertEqual(self.register.hold_receipt_id, self.poison)
        self.assertRecordValues(
            self.poison,
            [
                {
                    'state': 'pending',
                    'last_outcome': 'absent',
                    'in_doubt': False,
                    'lone_failures': 0,
                    'attempts': 4,
                    'last_error': FAILED.message,
                }
            ],
        )
        self.assertEqual(self.poison.attempt_ids[0].outcome, 'absent')
        self.assertEqual(self.worker.told, 3, "told of from the second lone failure on, and of the hold")

    def test_each_reads_of_the_hold_in_their_own_language(self):
        """A cron, which holds a register, has no language."""
        self.env['res.lang']._activate_lang('ru_RU')
        self._fail(5)
        english, russian = self.register, self.register.with_context(lang='ru_RU')
        self.assertIn("does not accept", english.hold_reason)
        self.assertIn("ОФД не принимает", russian.hold_reason)
        self.env['kkt.watch']._cron_watch()
        alarm = self.env['kkt.alarm'].search([('kind', '=', 'held')])
        self.assertIn("ОФД не принимает", alarm.with_context(lang='ru_RU').happened)

    def test_held_register_rests_and_others_go_on(self):
        self._fail(7)
        self.assertEqual(self._count_sent(), 4)
        self.assertEqual(self.next.state, 'pending')
        self.assertFalse(self.other_register.hold_reason)

    def test_it_does_not_cut_off_the_others(self):
        self._fail(2)
        self._deliver(count=6)
        self.assertRecordValues(self.breaker, [{'state': 'closed', 'failure_count': 0}])

    def test_an_outage_opens_the_breaker(self):
        self._deliver(count=6)
        self.assertRecordValues(self.breaker, [{'state': 'open', 'failure_count': 5}])
        self.assertEqual(self._count_sent(), 5)

    def test_an_outage_holds_nothing(self):
        self._pass_other()
        self._fail_in_outage(12)
        self.assertEqual(self._count_sent(), 12)
        self.assertEqual(self.poison.lone_failures, 0)

    def test_failures_of_an_outage_do_not_count_after_it(self):
        """The other register passes first when the OFD is back: what failed before was the outage."""
        self._pass_other()
        self._fail_in_outage(12)
        self._pass_other()
        self.receiver.verdicts.clear()
        self._deliver()
        self.assertRecordValues(self.poison, [{'state': 'delivered', 'lone_failures': 0}])
        self.assertFalse(self.register.hold_reason)

    def test_an_ofd_of_others_proves_nothing(self):
        self.other_register.ofd_id = self._create_ofd(name="Another").id
        for _number in range(8):
            self._fail_in_outage(1)
            self._pass_other()
        self.assertEqual(self._count_sent(), 8)
        self.assertFalse(self.register.hold_reason)

    def test_what_is_accepted_at_last_is_not_held(self):
        self._fail(4)
        self.receiver.accepted.add(self.poison.idempotency_key)
        self._deliver()
        self.assertEqual(self.poison.state, 'delivered')
        self.assertFalse(self.register.hold_reason)

    def test_released_it_is_tried_anew(self):
        self._fail(5)
        self.register.action_release_hold()
        self._fail(3)
        self.assertFalse(self.register.hold_reason)
        self.assertEqual(self._count_sent(), 7)
        self._fail(1)
        self.assertTrue(self.register.hold_reason)

    def test_handled_it_is_left_out(self):
        self._fail(5)
        self.poison._handle(REASON)
        self.assertRecordValues(self.poison, [{'state': 'rejected', 'handled_reason': REASON}])
        self.assertFalse(self.register.hold_reason)
        self._deliver()
        self.assertEqual(self.next.state, 'delivered')

    def test_it_is_not_left_out_before_the_ofd_was_asked(self):
        self._fail(3)
        self.register.delivery_ids.sudo()._hold(self.poison, "by hand")
        with self._asking(FAILED), self.assertRaisesRegex(UserError, "has not said"):
            self.poison._handle(REASON)
        self.assertRecordValues(self.poison, [{'state': 'pending', 'in_doubt': True}])
        self.assertTrue(self.register.hold_reason, "it stays held")

    def test_a_person_holds_asks_and_leaves_it_out(self):
        """Where nothing else passes nothing is held by itself: one register, or all heads bad."""
        self._fail_in_outage(3)
        self.assertFalse(self.register.hold_reason)
        with self._asking(FAILED), self.assertRaisesRegex(UserError, "has not said"):
            self.poison._handle(REASON)
        self.assertFalse(self.register.hold_reason, "it is tried on")
        self.receiver.accepted.add(self.poison.idempotency_key)
        with self._asking(), self.assertRaisesRegex(UserError, "nothing to leave out"):
            self.poison._handle(REASON)
        self.assertEqual(self.poison.state, 'delivered')

    def test_what_the_ofd_says_it_does_not_have_is_left_out(self):
        self._fail_in_outage(3)
        sent = self._count_sent()
        with self._asking():
            self.poison._handle(REASON)
        self.assertRecordValues(self.poison, [{'state': 'rejected', 'handled_reason': REASON, 'in_doubt': False}])
        self.assertFalse(self.register.hold_reason)
        self.assertEqual(self._count_sent(), sent)

    @contextmanager
    def _asking(self, answer=None):
        """The OFD is asked in this transaction, which can't be committed here."""

        def ask(delivery):
            self.env.flush_all()
            self.worker.try_once(delivery.register_id, only_ask=True)
            self.env.invalidate_all()

        commit = patch.object(self.env.cr, 'commit', lambda: None)
        lookup = patch.object(self.receiver, 'lookup', lambda document: answer) if answer else nullcontext()
        with patch.object(self.registry['kkt.delivery'], '_ask', ask), commit, lookup:
            yield

    def test_released_it_is_not_left_out(self):
        self._fail(5)
        self.register.action_release_hold()
        with self.assertRaisesRegex(UserError, "by itself"):
            self.poison._handle(REASON)

    def test_a_plain_acceptance_is_one_statement_and_counts_nothing(self):
        self.receiver.verdicts.clear()
        self._deliver(count=2)
        self.assertEqual([ACCEPTED.outcome.value] * 2, (self.poison + self.next).mapped('last_outcome'))
        self.assertFalse(self.poison.attempt_ids)
