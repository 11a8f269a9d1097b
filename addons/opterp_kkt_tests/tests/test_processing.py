from dataclasses import replace

from odoo.tests import tagged

from odoo.addons.opterp_kkt.transports import Answer, Outcome

from .delivering import BLOCKED, FAILED, PROCESSING, REFUSED, DeliveryCommon, Receiver


@tagged('post_install', '-at_install')
class TestProcessing(DeliveryCommon):
    """An OFD that takes its time: the document is there, and is asked for until it is told."""

    def test_it_is_asked_for_and_nothing_overtakes_it(self):
        first, second = self._sell_receipt(), self._sell_receipt()
        self.receiver.verdicts[first.idempotency_key] = PROCESSING
        self._deliver(count=4)
        self.assertRecordValues(
            first + second,
            [
                {'state': 'pending', 'last_outcome': 'processing', 'attempts': 0, 'in_doubt': True, 'failures': 0},
                {'state': 'pending', 'last_outcome': False, 'attempts': 0, 'in_doubt': False, 'failures': 0},
            ],
        )
        self.assertEqual(len(self.receiver.sent), 1, "asked for, and not sent again")
        self.assertGreater(first.next_attempt_at, self.env.cr.now())
        self.receiver.finish(first.idempotency_key)
        self._deliver(count=2)
        self.assertEqual((first + second).mapped('state'), ['delivered', 'delivered'])
        self.assertEqual(len(self.receiver.sent), 2)

    def test_it_is_no_failure_of_the_ofd(self):
        breaker = self.register.ofd_id.breaker_id
        failing = self._sell_receipt()
        self.receiver.verdicts[failing.idempotency_key] = FAILED
        self._deliver(count=4)
        self.assertEqual(breaker.failure_count, 4)
        self.receiver.verdicts[failing.idempotency_key] = PROCESSING
        self._deliver(count=6)
        self.assertRecordValues(breaker, [{'state': 'closed', 'failure_count': 4}])

    def test_what_it_no_longer_knows_is_sent_again(self):
        receipt = self._sell_receipt()
        self.receiver.verdicts[receipt.idempotency_key] = PROCESSING
        self._deliver()
        self.receiver.verdicts.clear()
        self._deliver()
        self.assertEqual(receipt.state, 'delivered')
        self.assertEqual(self.receiver.sent[0], self.receiver.sent[1], "the same bytes under the same key")


class Silent(Receiver):
    """One that tells nothing by a key: only sending the same again tells. It knows what it gave an id to."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def lookup(self, document):
        self.asked.append(document.ofd_id)
        return PROCESSING if document.ofd_id else Answer(Outcome.UNKNOWN, message="only sending it again tells", resend=True)


@tagged('post_install', '-at_install')
class TestResend(DeliveryCommon):
    """A receiver that can be asked for what it gave an id to, and for nothing else."""

    def setUp(self):
        super().setUp()
        self.receiver = Silent()
        self.receipt = self._sell_receipt()
        self.receiver.verdicts[self.receipt.idempotency_key] = FAILED
        self._deliver()

    def test_a_lost_answer_is_asked_for_by_sending_the_same(self):
        self.assertTrue(self.receipt.in_doubt)
        self.receiver.verdicts.clear()
        self._deliver()
        self.assertEqual(self.receipt.state, 'delivered')
        self.assertEqual(self.receiver.sent[0], self.receiver.sent[1], "the same bytes under the same key")
        self.assertEqual(self.receiver.asked, [""])

    def test_who_only_asks_sends_nothing(self):
        self.worker.try_once(self.register, only_ask=True)
        self.env.invalidate_all()
        self.assertEqual(len(self.receiver.sent), 1)
        self.assertRecordValues(self.receipt, [{'state': 'pending', 'in_doubt': True, 'absent': False}])

    def test_nor_is_it_sent_where_it_no_longer_goes(self):
        self.register.ofd_id = self._create_ofd(name="Another")
        self._deliver()
        self.assertEqual(len(self.receiver.sent), 1)
        self.assertTrue(self.receipt.in_doubt)

    def test_the_id_that_it_gave_is_kept_and_asked_for(self):
        self.receiver.verdicts[self.receipt.idempotency_key] = replace(PROCESSING, ofd_id="id-7")
        self._deliver(count=3)
        self.assertEqual(self.receipt.ofd_document_id, "id-7")
        self.assertEqual(self.receiver.asked, ["", "id-7", "id-7"], "although the answers in between name none")
        self.assertEqual(len(self.receiver.sent), 2)


@tagged('post_install', '-at_install')
class TestStreak(DeliveryCommon):
    """Several refusals in a row: a person is asked before the whole queue is refused."""

    def _sell_refused(self, count):
        receipts = self.env['kkt.receipt']
        for _number in range(count):
            receipts |= self._sell_receipt()
        self.receiver.verdicts = dict.fromkeys(receipts.mapped('idempotency_key'), REFUSED)
        return receipts

    def test_the_fifth_holds(self):
        receipts = self._sell_refused(7)
        self._deliver(count=10)
        self.assertEqual(receipts.mapped('state').count('rejected'), 5)
        self.assertRecordValues(
            self.register.delivery_ids,
            [{'hold_cause': 'refusals', 'refusals': 5, 'hold_receipt_id': receipts.sorted('id')[4].id}],
        )
        self.assertIn(REFUSED.message, self.register.hold_reason)

    def test_one_that_passes_begins_the_count_anew(self):
        self._sell_refused(4)
        self._deliver(count=4)
        self._sell_receipt()
        self._deliver()
        more = self._sell_refused(4)
        self._deliver(count=5)
        self.assertEqual(set(more.mapped('state')), {'rejected'})
        self.assertFalse(self.register.hold_reason)

    def test_released_it_goes_on_for_as_many(self):
        receipts = self._sell_refused(12)
        self._deliver(count=10)
        self.register.action_release_hold()
        self._deliver(count=10)
        self.assertEqual(receipts.mapped('state').count('rejected'), 10)
        self.assertTrue(self.register.hold_reason)


@tagged('post_install', '-at_install')
class TestFirewall(DeliveryCommon):
    """One document is answered 403, by a firewall that dislikes a product's name: its OFD goes on for the others."""

    def setUp(self):
        super().setUp()
        config, self.other_register = self._create_second_shop()
        self.other_register.ofd_id = self.register.ofd_id
        self.bad = self._sell_receipt()
        self.receiver.verdicts[self.bad.idempotency_key] = BLOCKED
        self._open_session(config)

    def _pass_other(self):
        receipt = self._sell([(self.frame, 1)], [(self.bank_pm1, 8900)]).kkt_receipt_ids
        self._deliver(self.other_register, self.other_register.pending_count)
        self.assertEqual(receipt.state, 'delivered')

    def test_others_passed_of_late_so_it_is_its_own(self):
        self._pass_other()
        self._deliver()
        self.assertFalse(self.register.ofd_id.paused_until)
        self.assertRecordValues(self.bad, [{'lone_failures': 1, 'failures': 1, 'attempts': 0, 'in_doubt': False}])
        self.assertTrue(self.bad.next_attempt_at, "tried again later")

    def test_nothing_else_passed_so_the_ofd_is_paused(self):
        self._deliver()
        self.assertTrue(self.register.ofd_id.paused_until)
        self.assertRecordValues(self.bad, [{'lone_failures': 0, 'failures': 1, 'attempts': 0}])

    def test_its_register_is_held_after_so_many_tries(self):
        for _number in range(4):
            self._pass_other()
            self._deliver()
        self.assertRecordValues(self.register.delivery_ids, [{'hold_cause': 'failing', 'hold_receipt_id': self.bad.id}])
        self.assertTrue(self.bad.absent)
        self.assertFalse(self.register.ofd_id.paused_until)
        self.bad._handle("Put right by a correction")
        self.assertEqual(self.bad.state, 'rejected')
