import json
from unittest.mock import patch

import psycopg2

from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.opterp_kkt.core.fiscal_data import FiscalData
from odoo.addons.opterp_kkt.drivers import DRIVERS, Remote
from odoo.addons.opterp_kkt.transports import PROTOCOLS, Answer, Outcome

from .common import stamp
from .delivering import FAILED, DeliveryCommon

FISCAL_DATA = FiscalData('8710000100000001', 77, 3, 5, "1234567890", "t=…&fn=8710000100000001")
FISCAL_DATA_OF_OPENING = FiscalData('8710000100000001', 76, 3, None, "1234567889")

OTHER_DRIVE = '8710000100000002'
ELSEWHERE = {'driver': 'elsewhere', 'fiscal_drive_number': '8710000100000001'}


@tagged('post_install', '-at_install')
class TestIssue(DeliveryCommon):
    """How a document comes to be: what its register, driver and transport give it, and when."""

    def setUp(self):
        super().setUp()
        self.startPatcher(patch.dict(DRIVERS, elsewhere=Remote("A register elsewhere")))
        self.startPatcher(patch.dict(self.env['kkt.register']._fields['driver']._selection, elsewhere="Elsewhere"))

    # -- a register elsewhere ----------------------------------------------------------------------------------------------

    def _put_elsewhere(self):
        """The shift of before is closed, one is opened elsewhere; all reports are delivered."""
        self.register.action_close_shift()
        self.register.write(ELSEWHERE)
        self.register.action_open_shift()
        opening = self.register.shift_id.document_ids
        self.receiver.verdicts[opening.idempotency_key] = Answer(
            Outcome.ACCEPTED, 200, server_time=1, fiscal_data=FISCAL_DATA_OF_OPENING
        )
        self._deliver(count=self.register.pending_count)
        self.assertRecordValues(
            opening, [{'state': 'delivered', **FISCAL_DATA_OF_OPENING._asdict(), 'receipt_number': 0, 'qr': False}]
        )

    def _sell_elsewhere(self):
        self._put_elsewhere()
        return self._sell_receipt()

    def test_its_document_has_all_but_the_numbers_at_once(self):
        before = self._sell_receipt()
        receipt = self._sell_elsewhere()
        self.assertRecordValues(
            receipt,
            [
                {
                    'state': 'pending',
                    'queue_number': 5,
                    'fd_number': 0,
                    'shift_number': 0,
                    'receipt_number': 0,
                    'fiscal_sign': False,
                    'fiscal_drive_number': False,
                    'qr': False,
                    'numbers_follow': True,
                    'total': 890000,
                    'protocol': 'http',
                }
            ],
        )
        self.assertGreater(stamp(receipt), stamp(before))
        payload = json.loads(receipt.payload)
        self.assertEqual((payload['idempotency_key'], payload['fd_number']), (receipt.idempotency_key, None))
        self.assertEqual(payload['document']['totalSum'], 890000)
        self.assertFalse({'fiscalSign', 'fiscalDocumentNumber', 'dateTime'} & set(payload['document']))
        self.assertRecordValues(self.register, [{'last_queue_number': 5, 'last_fd_number': 76, 'last_receipt_number': 0}])
        self.assertIn("not numbered yet", receipt.display_name)

    def test_the_answer_brings_the_numbers(self):
        receipt = self._sell_elsewhere()
        payload = receipt.payload
        self.receiver.verdicts[receipt.idempotency_key] = Answer(Outcome.ACCEPTED, 200, server_time=1, fiscal_data=FISCAL_DATA)
        self._deliver()
        self.assertRecordValues(receipt, [{'state': 'delivered', 'payload': payload, **FISCAL_DATA._asdict()}])
        self.assertEqual(receipt.pos_order_id.kkt_qr, FISCAL_DATA.qr)

    def test_so_does_the_answer_to_a_question(self):
        receipt = self._sell_elsewhere()
        self.receiver.verdicts[receipt.idempotency_key] = FAILED
        self._deliver()
        self.assertTrue(receipt.in_doubt)
        self.receiver.lookup = lambda document: Answer(Outcome.ACCEPTED, 200, server_time=1, fiscal_data=FISCAL_DATA)
        self._deliver()
        self.assertRecordValues(receipt, [{'state': 'delivered', **FISCAL_DATA._asdict()}])

    def test_without_numbers_it_is_not_delivered(self):
        receipt = self._sell_elsewhere()
        receipt.flush_recordset()
        with self._refuses(psycopg2.errors.CheckViolation) as refusal:
            self.env.cr.execute("UPDATE kkt_receipt SET state = 'delivered', delivered_at = now() WHERE id = %s", [receipt.id])
        self.assertEqual(refusal.exception.diag.constraint_name, 'kkt_receipt_numbered')

    def _assert_held(self, receipt, cause, words):
        self.assertRecordValues(receipt, [{'state': 'rejected', 'fd_number': 0, 'fiscal_sign': False}])
        self.assertRecordValues(self.register.delivery_ids, [{'hold_cause': cause, 'hold_receipt_id': receipt.id}])
        self.assertIn(words, self.register.hold_reason)

    def test_an_acknowledgement_without_numbers_holds_the_register(self):
        receipt = self._sell_elsewhere()
        self._deliver(count=3)
        self._assert_held(receipt, 'mismatch', "номер ФД")
        self.assertEqual(len(self.receiver.sent), 3, "two reports and this document, once")

    def test_so_does_another_drive_sum_or_operation(self):
        for answer, words in (
            (
                {'fiscal_data': FISCAL_DATA._replace(fiscal_drive_number='8710000100000002')},
                "8710000100000002 ≠ 8710000100000001",
            ),
            ({'fiscal_data': FISCAL_DATA, 'total': 100}, "100 ≠ 890000"),
            ({'fiscal_data': FISCAL_DATA, 'operation_type': 2}, "2 ≠ 1"),
        ):
            receipt = self._sell_receipt() if self.register.driver == 'elsewhere' else self._sell_elsewhere()
            self.receiver.verdicts[receipt.idempotency_key] = Answer(Outcome.ACCEPTED, 200, server_time=1, **answer)
            self._deliver()
            self._assert_held(receipt, 'mismatch', words)
            self.register.action_release_hold()

    def test_so_does_a_number_that_another_document_has(self):
        receipt = self._sell_elsewhere()
        taken = FISCAL_DATA._replace(fd_number=FISCAL_DATA_OF_OPENING.fd_number)
        self.receiver.verdicts[receipt.idempotency_key] = Answer(Outcome.ACCEPTED, 200, server_time=1, fiscal_data=taken)
        with mute_logger('odoo.sql_db'):
            self._deliver()
        self._assert_held(receipt, 'mismatch', str(taken.fd_number))

    def test_retry_after_the_protocol_was_put_right(self):
        receipt = self._sell_elsewhere()
        self._deliver()
        self.receiver.verdicts[receipt.idempotency_key] = Answer(Outcome.ACCEPTED, 200, server_time=1, fiscal_data=FISCAL_DATA)
        self.register.action_release_hold()
        receipt.action_retry()
        self._deliver()
        self.assertRecordValues(receipt, [{'state': 'delivered', **FISCAL_DATA._asdict()}])

    def test_an_answer_changes_no_numbers_that_were_given(self):
        receipt = self._sell_receipt()
        before = receipt.read(FISCAL_DATA._fields)
        self.receiver.verdicts[receipt.idempotency_key] = Answer(Outcome.ACCEPTED, 200, server_time=1, fiscal_data=FISCAL_DATA)
        self._deliver()
        self.assertEqual(receipt.state, 'delivered')
        self.assertEqual(receipt.read(FISCAL_DATA._fields), before)

    def test_retry_builds_it_by_the_driver_of_then(self):
        order, receipt = self._sell_unbuildable()
        self._put_elsewhere()
        order.lines.tax_ids.kkt_vat_rate = '11'
        receipt.action_retry()
        self.assertRecordValues(receipt, [{'state': 'pending', 'fd_number': 0, 'numbers_follow': True, 'queue_number': 4}])

    # -- envelopes ---------------------------------------------------------------------------------------------------------

    def test_the_ofd_of_the_register_says_which_envelope(self):
        self.register.ofd_id.protocol = 'parcel'
        receipt = self._sell_receipt()
        self.assertTrue(receipt.payload.startswith("parcel "))
        self.assertEqual(receipt.protocol, 'parcel')
        self.assertEqual(receipt._get_document()['totalSum'], 890000)

    def test_what_no_receiver_has_seen_gets_the_envelope_of_another_protocol(self):
        receipt = self._sell_receipt()
        document, number, key = receipt._get_document(), receipt.fd_number, receipt.idempotency_key
        self.register.ofd_id = self._create_ofd(protocol='parcel')
        self._deliver()
        [(sent_key, sent)] = self.receiver.sent
        self.assertEqual(sent_key, key)
        self.assertTrue(sent.startswith("parcel "))
        self.assertRecordValues(
            receipt, [{'state': 'delivered', 'payload': sent, 'protocol': 'parcel', 'fd_number': number, 'idempotency_key': key}]
        )
        self.assertEqual(receipt._get_document(), document)

    def test_what_the_other_protocol_cannot_state_holds_the_register(self):
        receipt = self._sell_receipt()
        self.register.ofd_id = self._create_ofd(protocol='parcel')
        with patch.object(PROTOCOLS['parcel'], 'encode', side_effect=KeyError('itemsQuantityMeasure')):
            self._deliver(count=2)
        self.assertFalse(self.receiver.sent)
        self.assertRecordValues(receipt, [{'state': 'rejected', 'protocol': 'http', 'in_doubt': False}])
        self.assertRecordValues(self.register.delivery_ids, [{'hold_cause': 'envelope', 'hold_receipt_id': receipt.id}])
        self.assertIn("itemsQuantityMeasure", self.register.hold_reason)

    def test_what_may_be_elsewhere_keeps_its_bytes(self):
        """It is settled where it was sent, in the words of then."""
        receipt = self._sell_receipt()
        payload = receipt.payload
        self.receiver.verdicts[receipt.idempotency_key] = FAILED
        self._deliver()
        self.register.ofd_id.protocol = 'parcel'
        self._deliver()
        self.assertRecordValues(receipt, [{'payload': payload, 'protocol': 'http'}])
        self.assertEqual({sent for _key, sent in self.receiver.sent}, {payload})
