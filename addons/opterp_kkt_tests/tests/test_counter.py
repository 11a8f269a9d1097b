import json
from contextlib import contextmanager
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from odoo.addons.opterp_kkt.transports import Answer, Outcome
from odoo.addons.opterp_kkt.transports.atol_web import AtolWeb

from .common import KktSaleCommon

DRIVE = '8710000100000001'
DELIVER = """
    UPDATE kkt_receipt
       SET state = 'delivered', delivered_at = now(), fd_number = %(fd_number)s, fiscal_drive_number = %(drive)s,
           fiscal_sign = '1234567890', qr = 't=20261129T1200&s=1.00&n=1', shift_number = 1, receipt_number = %(fd_number)s
     WHERE id = %(id)s
"""
DONE, SILENT = Answer(Outcome.ACCEPTED), Answer(Outcome.UNKNOWN, message="no answer")
NO_PAPER, WRONG = Answer(Outcome.UNABLE, message="44: no paper"), Answer(Outcome.REFUSED, message="148: not enough cash")


@tagged('post_install', '-at_install')
class TestCounter(KktSaleCommon):
    """A register on the counter does more than fiscalise: it reports, prints copies, counts its cash."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.register.write({'driver': 'remote', 'fiscal_drive_number': DRIVE, 'ofd_id': cls._create_ofd(protocol='atol_web').id})

    @contextmanager
    def _answering(self, *answers):
        """What the register is told to do, and answers."""
        told, left = [], list(answers)

        def command(transport, uuid, name, **facts):
            told.append((uuid, name, facts))
            return left.pop(0)

        commit = patch.object(self.env.cr, 'commit', self.env.flush_all)  # none is possible in a test
        with patch.object(AtolWeb, 'command', command), commit:
            yield told

    def _deliver_receipt(self, fd_number=7, drive=DRIVE):
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self.env.flush_all()
        self.env.cr.execute(DELIVER, {'fd_number': fd_number, 'drive': drive, 'id': receipt.id})
        self.env.invalidate_all()
        return receipt

    def _move(self, kind, amount):
        self.pos_session.try_cash_in_out(kind, amount, "change", False, {'translatedType': kind, 'formattedAmount': ""})

    def _do_moves(self):
        self.env['kkt.cash.move'].sudo()._cron_do()

    def _get_moves(self):
        return self.env['kkt.cash.move'].search([], order='id')

    # -- buttons -----------------------------------------------------------------------------------------------------------

    def test_a_report_without_closing(self):
        with self._answering(DONE, DONE) as told:
            self.assertEqual(self.register.action_report_x()['params']['type'], 'success')
            self.register.action_report_x()
        self.assertEqual([name for _uuid, name, _facts in told], ['report_x'] * 2)
        self.assertEqual(told[0][2], {'cashier': self.env.user.name})
        self.assertNotEqual(told[0][0], told[1][0], "each press prints")

    def test_a_copy_is_no_second_document(self):
        receipt, documents = self._deliver_receipt(), self.env['kkt.receipt'].search_count([])
        with self._answering(DONE) as told:
            receipt.action_print_again()
        self.assertEqual([(name, facts['fd_number']) for _uuid, name, facts in told], [('copy', 7)])
        self.assertEqual(self.env['kkt.receipt'].search_count([]), documents)
        self.assertEqual((receipt.state, receipt.attempts), ('delivered', 0))

    def test_what_a_person_reads(self):
        for answer, words in (
            (NO_PAPER, "printed nothing"),
            (WRONG, "printed nothing"),
            (SILENT, "did not say whether it printed"),
        ):
            with self._answering(answer):
                shown = self.register.action_report_x()['params']
            self.assertEqual((shown['type'], shown['message']), ('danger', answer.message))
            self.assertIn(words, shown['title'])

    def test_only_what_it_has_is_copied_and_only_by_who_may(self):
        waiting = self._sell([(self.frame, 1)]).kkt_receipt_ids
        earlier = self._deliver_receipt(drive='8710000100000009')
        receipt = self._deliver_receipt()
        cashier = self._create_user('cashier', 'point_of_sale.group_pos_user')
        with self._answering() as told:
            for refused in (waiting, earlier):
                self.assertFalse(refused.register_copies)
                with self.assertRaises(UserError):
                    refused.action_print_again()
            for button in (receipt.with_user(cashier).action_print_again, self.register.with_user(cashier).action_report_x):
                with self.assertRaises(AccessError):
                    button()
        self.assertFalse(told)

    def test_an_emulated_register_has_no_paper(self):
        self.register.action_close_shift()
        self.register.write({'driver': 'emulator', 'fiscal_drive_number': '9999000000000077', 'ofd_id': self._create_ofd().id})
        self.assertFalse(self.register.prints)
        with self.assertRaisesRegex(UserError, "prints nothing on demand"):
            self.register.action_report_x()
        self._move('in', 100)
        self.assertFalse(self._get_moves())

    # -- who prints --------------------------------------------------------------------------------------------------------

    def test_who_prints(self):
        for fd_number, printed_by in enumerate(('register', 'till'), 7):
            self.register.printed_by = printed_by
            receipt = self._deliver_receipt(fd_number)
            task = json.loads(json.loads(receipt.payload)['task'])
            with self.subTest(printed_by=printed_by):
                self.assertEqual(task.get('electronically', False), printed_by == 'till')
                self.assertEqual(receipt._get_printed_values().get('is_copy', False), printed_by == 'register')

    # -- cash --------------------------------------------------------------------------------------------------------------

    def test_cash_is_moved_once(self):
        self._move('in', 100.5)
        self._move('out', 20)
        self.assertEqual(self._get_moves().mapped('amount'), [10050, -2000])
        with self._answering(DONE, DONE) as told:
            for _time in range(2):
                self._do_moves()
        self.assertEqual([(name, facts['kopecks']) for _uuid, name, facts in told], [('cash_in', 10050), ('cash_out', 2000)])
        self.assertEqual(self._get_moves().mapped('state'), ['done', 'done'])

    def test_a_lost_answer_is_asked_for_by_the_same_key_and_nothing_overtakes(self):
        self._move('in', 1)
        self._move('in', 2)
        with self._answering(SILENT, DONE, DONE) as told:
            self._do_moves()
            self.assertEqual(self._get_moves().mapped('state'), ['waiting', 'waiting'])
            self._do_moves()
        self.assertEqual([facts['kopecks'] for _uuid, _name, facts in told], [100, 100, 200])
        self.assertEqual(len({uuid for uuid, _name, _facts in told}), 2)

    def test_what_was_not_done_gets_another_key(self):
        self._move('in', 1)
        with self._answering(NO_PAPER, DONE) as told:
            self._do_moves()
            self.assertRecordValues(self._get_moves(), [{'state': 'waiting', 'last_error': NO_PAPER.message}])
            self._do_moves()
        self.assertEqual(len({uuid for uuid, _name, _facts in told}), 2)
        self.assertRecordValues(self._get_moves(), [{'state': 'done', 'last_error': False}])

    def test_what_it_refused_is_said_and_stops_nothing(self):
        self._move('out', 5)
        self._move('in', 1)
        with self._answering(WRONG, DONE):
            self._do_moves()
        self.assertEqual(self._get_moves().mapped('state'), ['refused', 'done'])
        self.assertIn("-5.00 of cash: 148: not enough cash", self.register.message_ids[0].body)

    def test_a_move_that_is_deleted_is_counted_back(self):
        self._move('in', 30)
        line = self.pos_session.statement_line_ids
        self.env.user.group_ids |= self.env.ref('account.group_account_basic')
        line.partner_id = self.customer
        self.pos_session.delete_cash_in_out(line.id, self.customer.id)
        self.assertEqual(self._get_moves().mapped('amount'), [3000, -3000])
