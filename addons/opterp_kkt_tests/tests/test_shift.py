from calendar import timegm
from contextlib import contextmanager
from unittest.mock import patch

import psycopg2

from odoo.exceptions import AccessError, UserError
from odoo.sql_db import Cursor
from odoo.tests import tagged

from odoo.addons.opterp_kkt.core import paper, shift
from odoo.addons.point_of_sale.models.pos_session import PosSession as CorePosSession

from .common import KktSaleCommon

SHIFT_LOGGER = 'odoo.addons.opterp_kkt.models.kkt_register_shift'


@tagged('post_install', '-at_install')
class TestShift(KktSaleCommon):
    """A register's shift: when it is opened, closed and renewed, what its reports state, and what PostgreSQL says about it."""

    def _get_documents(self, register=None):
        """Of a register, in order: type, FD number, shift number, number in the shift."""
        receipts = self.env['kkt.receipt'].search([('register_id', '=', (register or self.register).id)], order='queue_number')
        return [(r.document_type, r.fd_number, r.shift_number, r.receipt_number) for r in receipts if r.payload]

    def _get_last_document(self):
        last = self.env['kkt.receipt'].search(
            [('register_id', '=', self.register.id), ('payload', '!=', False)], order='queue_number DESC', limit=1
        )
        return self._get_document(last)

    def _make_old(self, hours):
        self._set_in_sql(self.register, shift_opened_time=self.register.shift_opened_time - hours * 3_600_000)

    def _finish_session(self):
        """As the till does, with all that Odoo asks for."""
        session = self.pos_session
        session.post_closing_cash_details(session.cash_register_balance_start)
        return session.close_session_from_ui()

    # -- opened ------------------------------------------------------------------------------------------------------------

    def test_opening_a_session_opens_it(self):
        self.assertEqual(self._get_documents(), [('shift_open', 1, 1, 0)])
        opened = self.register.shift_id
        self.assertRecordValues(
            opened, [{'number': 1, 'fiscal_drive_number': self.register.fiscal_drive_number, 'closed_at': False}]
        )
        document = self._get_last_document()
        self.assertEqual(document['operator'], self.env.user.name)
        self.assertEqual((document['code'], document['kktVersion'], document['documentKktVersion']), (2, "EMU 1", 4))
        self.assertFalse({'operationType', 'requestNumber', 'appliedTaxationType', 'totalSum'} & set(document))

    def test_a_sale_opens_it_one_number_earlier(self):
        self.register.action_close_shift()
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self.assertEqual(self._get_documents()[1:], [('shift_close', 2, 1, 0), ('shift_open', 3, 2, 0), ('receipt', 4, 2, 1)])
        self.assertEqual(receipt.shift_id, self.register.shift_id)

    def test_a_second_session_goes_on_in_it(self):
        """A shift belongs to the register: it stays open when its session could not close it."""
        self.env['pos.session'].search([('config_id', '=', self.config.id)]).state = 'closed'
        self._open_session(self.config)
        self._sell([(self.frame, 1)])
        self.assertEqual(self._get_documents(), [('shift_open', 1, 1, 0), ('receipt', 2, 1, 1)])

    def test_what_its_report_cannot_state_stops_no_session(self):
        self.register.action_close_shift()
        self._set_in_sql(self.register, retail_place="")
        self._close_session()
        self._open_session(self.config)
        self.assertFalse(self.register.shift_id)
        self.assertIn("1187", self.register.message_ids[0].body)
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self.assertRecordValues(receipt, [{'state': 'rejected', 'payload': False, 'shift_id': False}])
        self.register.retail_place = "Shop"
        receipt.action_retry()
        self.assertEqual(self._get_documents()[1:], [('shift_close', 2, 1, 0), ('shift_open', 3, 2, 0), ('receipt', 4, 2, 1)])

    def test_what_nobody_foresaw_in_its_report_stops_no_session(self):
        with patch.object(shift, 'closing', side_effect=ValueError("odd")), self.assertLogs(SHIFT_LOGGER, 'ERROR'):
            self._close_session()
        self.assertTrue(self.register.shift_id)
        self.assertIn("odd", self.register.message_ids[0].body)
        self.register.action_close_shift()
        self.assertFalse(self.register.shift_id)

    def test_a_receipt_that_was_not_built_opens_none(self):
        self.register.action_close_shift()
        self._sell_unbuildable()
        self.assertFalse(self.register.shift_id)

    # -- closed ------------------------------------------------------------------------------------------------------------

    def test_closing_the_session_closes_it(self):
        self._sell([(self.frame, 1)], [(self.cash_pm1, 8900)])
        opened = self.register.shift_id
        self.assertTrue(self._finish_session()['successful'])
        self.assertEqual(self._get_documents()[-1], ('shift_close', 3, 1, 0))
        self.assertFalse(self.register.shift_id)
        self.assertTrue(opened.closed_at)

    def test_a_session_that_is_not_closed_leaves_it_open(self):
        self._sell([(self.frame, 1)], [(self.cash_pm1, 8900)])
        asking = {'name': "Force Close Session"}
        with patch.object(CorePosSession, '_validate_session', lambda *arguments: asking):
            self.assertFalse(self._finish_session()['successful'])
        self.assertEqual(self._get_documents()[-1], ('receipt', 2, 1, 1))
        self.assertTrue(self.register.shift_id)

    def test_a_shift_without_receipts(self):
        self.register.action_close_shift()
        document = self._get_last_document()
        self.assertEqual((document['receiptQuantity'], document['documentsQuantity']), (0, 2))
        self.assertEqual(document['shiftSumReports'], {'totalReceiptBsoCount': 0})

    def test_its_closing_states_its_receipts(self):
        order = self._sell([(self.frame, 1), (self.solution, 2)], [(self.cash_pm1, 10599.80)])
        self._sell([self._refund_line(order.lines[1], 1)], [(self.cash_pm1, -849.90)])
        self._sell([(self.solution, 1)], [(self.bank_pm1, 849.90)])
        closed = self.register.shift_id
        self.register.action_close_shift()
        document = self._get_last_document()
        none = {'prepaidSum': 0, 'creditSum': 0, 'provisionSum': 0}
        counters = {
            'totalReceiptBsoCount': 3,
            'sellOper': {
                'receiptBsoCount': 2,
                'totalSum': 11449_70,
                'cashSum': 10599_80,
                'ecashSum': 849_90,
                **none,
                'taxFreeSum': 8900_00,
            },
            'sellReturnOper': {'receiptBsoCount': 1, 'totalSum': 849_90, 'cashSum': 849_90, 'ecashSum': 0, **none},
        }
        self.assertEqual(document['shiftSumReports'], counters)
        self.assertEqual(document['fiscalDriveSumReports'], counters)
        self.assertEqual((document['receiptQuantity'], document['documentsQuantity']), (3, 5))
        self.assertEqual(document['fdKeyResource'], 410)
        self.assertEqual(closed.counters, counters)
        self.assertEqual(closed.other_rates, {'1': {'11': 306_52 + 153_26}, '2': {'11': 153_26}})
        self.assertEqual(document['notTransmittedDocumentsQuantity'], 4, "all that the OFD does not have yet")

    def test_counters_of_the_drive_go_on(self):
        for _shift in range(2):
            self._sell([(self.frame, 1)])
            self.register.action_close_shift()
        document = self._get_last_document()
        self.assertEqual(document['shiftSumReports']['sellOper']['totalSum'], 8900_00)
        self.assertEqual(document['fiscalDriveSumReports']['sellOper']['totalSum'], 2 * 8900_00)
        self.assertEqual(document['fiscalDriveSumReports']['totalReceiptBsoCount'], 2)

    def test_what_the_ofd_refused_counts(self):
        """The drive has signed it; what was never signed counts nowhere."""
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self._set_in_sql(receipt, state='rejected')
        self._sell_unbuildable()
        self.register.action_close_shift()
        self.assertEqual(self._get_last_document()['receiptQuantity'], 1)

    def test_it_closes_whatever_keeps_its_documents_from_the_ofd(self):
        """They wait, and the report says how many, and since which day."""
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self.register.delivery_ids.sudo().write(
            {'hold_cause': 'refused', 'hold_reason': "no such rate", 'hold_receipt_id': receipt.id}
        )
        self.register.ofd_id.breaker_id.mode = 'forced_open'
        self.assertTrue(self._finish_session()['successful'])
        self.assertEqual(self._get_documents()[-1], ('shift_close', 3, 1, 0))
        document, day = self._get_last_document(), self.register._get_day()
        self.assertEqual(
            (document['notTransmittedDocumentsQuantity'], document['notTransmittedDocumentsDateTime']),
            (2, timegm(day.timetuple())),
        )
        self.assertEqual(set(self.register.receipt_ids.mapped('state')), {'pending'})

    def test_receipts_count_from_one_in_each_shift(self):
        self._sell([(self.frame, 1)])
        self.register.action_close_shift()
        self._sell([(self.frame, 1)])
        self._sell([(self.frame, 1)])
        self.assertEqual([d[1:] for d in self._get_documents() if d[0] == 'receipt'], [(2, 1, 1), (5, 2, 1), (6, 2, 2)])

    # -- twenty-four hours -------------------------------------------------------------------------------------------------

    def test_after_a_day_a_sale_renews_it(self):
        self._sell([(self.frame, 1)])
        self._make_old(hours=24)
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self.assertEqual(self._get_documents()[2:], [('shift_close', 3, 1, 0), ('shift_open', 4, 2, 0), ('receipt', 5, 2, 1)])
        self.assertEqual(receipt.shift_id, self.register.shift_id)
        self.assertEqual(self._get_last_document()['shiftNumber'], 2)

    def test_before_a_day_is_over_it_goes_on(self):
        self._make_old(hours=23)
        self._sell([(self.frame, 1)])
        self.assertEqual(self._get_documents(), [('shift_open', 1, 1, 0), ('receipt', 2, 1, 1)])

    def test_a_clock_that_was_set_back_makes_it_no_younger(self):
        """The register's clock counts: it is never behind its last document."""
        self._set_in_sql(self.register, last_document_time=self.register.last_document_time + 24 * 3_600_000)
        self._sell([(self.frame, 1)])
        self.assertEqual([d[0] for d in self._get_documents()], ['shift_open', 'shift_close', 'shift_open', 'receipt'])

    def test_the_till_hears_of_it(self):
        self._make_old(hours=23)
        self.register.on_shift_end = 'refuse'
        told = self.register.get_health()['shift']
        self.assertEqual((told['number'], told['refuses']), (1, True))
        self.assertGreaterEqual(told['age'], 23 * 3600)
        self.register.action_close_shift()
        self.assertFalse(self.register.get_health()['shift'])

    def test_what_was_paid_after_all_is_never_refused(self):
        self.register.on_shift_end = 'refuse'
        self._make_old(hours=25)
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self.assertRecordValues(receipt, [{'state': 'pending', 'shift_number': 2}])

    def test_the_watch_tells_of_one_that_nobody_closes(self):
        self.env['kkt.watch']._cron_watch()
        alarms = self.env['kkt.alarm'].sudo().search([('kind', '=', 'shift'), ('res_id', '=', self.register.id)])
        self.assertFalse(alarms)
        self._make_old(hours=23)
        self.env['kkt.watch']._cron_watch()
        alarm = alarms.search([('kind', '=', 'shift'), ('res_id', '=', self.register.id)])
        self.assertIn("Shift 1 of Register 1 is open since", alarm.happened)
        self.assertIn("The next sale after that closes it", alarm.meaning)
        self.register.action_close_shift()
        self.env['kkt.watch']._cron_watch()
        self.assertFalse(alarm.exists())

    # -- how it reads ------------------------------------------------------------------------------------------------------

    def test_counters_are_readable_before_and_after_its_closing(self):
        self._sell([(self.solution, 2)])
        shown = self.register.shift_id
        for _time in ("open", "closed"):
            self.assertRecordValues(shown, [{'receipt_count': 1, 'sold': 1699.80, 'refunded': 0}])
            self.assertIn("1699.80", shown.counters_table)
            self.assertIn("счётчики операций «приход»", shown.counters_table)
            first, last = map(shown.counters_table.index, ("количество чеков со всеми", "счётчики операций «приход»"))
            self.assertLess(first, last, "as the format has them, not as PostgreSQL keeps them")
            if not shown.closed_at:
                self.register.action_close_shift()
                self.env.invalidate_all()

    def test_x_is_no_document_and_z_is_one(self):
        self._sell([(self.solution, 2)], [(self.bank_pm1, 1699.80)])
        shown, before = self.register.shift_id, self.register.last_fd_number
        x = paper.as_text(shown._get_paper('80'), 48)
        for words in ("X-ОТЧЕТ", "НЕ ЯВЛЯЕТСЯ ДОКУМЕНТОМ", "СМЕНА 1", "СУММА БЕЗНАЛИЧ."):
            self.assertIn(words, x)
        self.assertIn("1699.80", x)
        self.assertNotIn("ОТЧЕТ О ЗАКРЫТИИ СМЕНЫ", x)
        self.assertEqual(self.register.last_fd_number, before)
        self.assertIn(f'report_kkt_shift_80/{shown.id}', shown.action_print_80()['url'])
        self.assertIn("X-ОТЧЕТ", shown._get_sheet('58')['slip'])
        self.register.action_close_shift()
        self.env.invalidate_all()
        self.assertIn("ОТЧЕТ О ЗАКРЫТИИ СМЕНЫ", shown.shift_paper)
        self.assertIn('report_kkt_receipt_80', shown.action_print_80()['url'])

    def test_rates_without_counters_stand_below_x_and_z(self):
        """22 % is the rate of most of what is sold; the format counts 20 % alone."""
        self._sell([(self.solution, 2)], [(self.bank_pm1, 1699.80)])
        shown = self.register.shift_id
        for _time in ("X", "Z"):
            self.env.invalidate_all()
            text = paper.as_text(shown._get_paper('80'), 48)
            document, reference = text.split("СПРАВОЧНО, В ОТЧЕТ НЕ ВХОДИТ")
            self.assertNotIn("22%", document)
            self.assertRegex(reference, r"ПРИХОД\n  СУММА НДС 22% +306\.52")
            self.assertIn("НДС 22%", shown.counters_table)
            self.assertIn("306.52", shown.counters_table)
            if not shown.closed_at:
                self.register.action_close_shift()
        report = shown._get_report('shift_close')
        self.assertNotIn("22%", report._get_paper_text(), "it is no part of the document")
        self.assertIn("НДС 22%", report._get_sheet('58')['slip'], "and is printed with it")
        opening = shown._get_report('shift_open')
        self.assertNotIn("22%", opening._get_sheet('80')['slip'])

    def test_cash_in_and_out_stand_below_x_and_z(self):
        session = self.pos_session
        extras = {'formattedAmount': "", 'translatedType': "in"}
        session.try_cash_in_out('in', 1000, "change-money", self.env.user.partner_id.id, extras)
        session.try_cash_in_out('out', 250.5, "to the bank", self.env.user.partner_id.id, extras)
        self._sell([(self.frame, 1)], [(self.cash_pm1, 8900)])
        shown = self.register.shift_id
        moves = [("change-money", 1000_00), ("to the bank", -250_50)]
        self.assertEqual(shown._get_cash_moves(), moves)
        session.post_closing_cash_details(9600)
        self.assertTrue(session.close_session_from_ui()['successful'])
        self.assertGreater(len(session.statement_line_ids), 2, "Odoo has booked what was sold for cash, and what was missing")
        self.assertEqual(shown._get_cash_moves(), moves)
        self.assertIn("ВЫПЛАТА to the bank", shown._get_report('shift_close')._get_sheet('80')['slip'])

    def test_a_till_gets_x_then_z(self):
        self._sell([(self.frame, 1)])
        shown = self.register.shift_id
        manager = self._create_user('slip_manager', 'point_of_sale.group_pos_manager')
        cashier = self._create_user('slip_cashier', 'point_of_sale.group_pos_user')
        self.assertEqual(self.register.get_health()['shift']['id'], shown.id)
        x = shown.with_user(manager).get_till_slip()
        self.assertEqual((x['is_closed'], x['paper_width']), (False, '80'))
        self.assertIn(["X-ОТЧЕТ", "", "center bold"], x['lines'])
        self.register.action_close_shift()
        self.env.invalidate_all()
        z = shown.with_user(manager).get_till_slip()
        self.assertTrue(z['is_closed'])
        self.assertIn(["ОТЧЕТ О ЗАКРЫТИИ СМЕНЫ", "", "center bold"], z['lines'])
        with self.assertRaisesRegex(AccessError, "administrator of the point of sale"):
            shown.with_user(cashier).get_till_slip()
        foreign = self.env['res.company'].create({'name': "Another Shop"})
        foreigner = self._create_user('slip_foreigner', 'point_of_sale.group_pos_manager', company_id=foreign.id)
        with self.assertRaises(AccessError):
            shown.with_user(foreigner).get_till_slip()

    def test_paper_of_a_shift_without_its_closing(self):
        """What an upgrade made of numbers of before."""
        shown = self.register.shift_id
        self.assertIn("НЕ ЗАКРЫТА", shown.shift_paper)
        self._set_in_sql(shown, counters='{}', drive_counters='{}', closed_at='2026-01-01')
        self.assertIn("X-ОТЧЕТ", shown.shift_paper)
        self.assertNotIn("НЕ ЗАКРЫТА", shown.shift_paper)

    def test_paper_of_its_reports(self):
        shown = self.register.shift_id
        self.register.action_close_shift()
        opening, closing = shown.document_ids.sorted('queue_number')
        self.assertIn("ОТЧЕТ ОБ ОТКРЫТИИ СМЕНЫ", opening._get_paper_text())
        text = closing._get_paper_text()
        for words in ("ОТЧЕТ О ЗАКРЫТИИ СМЕНЫ", "СМЕНА 1", "ФД ЗА СМЕНУ", "РЕСУРС КЛЮЧЕЙ", "СЧЕТЧИКИ ИТОГОВ ФН"):
            self.assertIn(words, text)

    # -- what it costs -----------------------------------------------------------------------------------------------------

    def test_a_sale_asks_nothing_about_its_shift(self):
        self._sell([(self.frame, 1)])
        self.env.flush_all()
        with self._listen() as statements:
            self._sell([(self.frame, 1)])
        self.assertTrue(statements)
        self.assertEqual([s for s in statements if 'kkt_shift' in s and 'UPDATE kkt_register' not in s], [])

    @contextmanager
    def _listen(self):
        """The statements that are executed meanwhile."""
        statements, execute = [], Cursor.execute

        def listen(cursor, query, *arguments, **options):
            statements.append(getattr(query, 'code', query))
            return execute(cursor, query, *arguments, **options)

        with patch.object(Cursor, 'execute', listen):
            yield statements

    # -- what PostgreSQL says ----------------------------------------------------------------------------------------------

    def test_one_open_shift_per_register(self):
        with self._refuses(psycopg2.errors.UniqueViolation) as refusal:
            self.env['kkt.shift'].sudo().create({'register_id': self.register.id, 'fiscal_drive_number': "9999000000000099"})
        self.assertIn('one_open', str(refusal.exception))

    def test_a_number_is_given_once_per_drive(self):
        opened = self.register.shift_id
        self.register.action_close_shift()
        with self._refuses(psycopg2.errors.UniqueViolation) as refusal:
            self.env['kkt.shift'].sudo().create(
                {'register_id': self.register.id, 'fiscal_drive_number': opened.fiscal_drive_number, 'number': opened.number}
            )
        self.assertIn('number_uniq', str(refusal.exception))

    def test_a_document_stands_in_a_shift_of_its_register_and_drive(self):
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        _config, other = self._create_second_shop()
        other.action_open_shift()
        with self._refuses(psycopg2.errors.ForeignKeyViolation):
            self._set_in_sql(receipt, shift_id=other.shift_id.id)
        with self._refuses(psycopg2.errors.ForeignKeyViolation):
            self._set_in_sql(receipt, fiscal_drive_number="9999000000000099")

    def test_a_document_has_a_shift(self):
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        with self._refuses(psycopg2.errors.CheckViolation) as refusal:
            self._set_in_sql(receipt, shift_id=None)
        self.assertEqual(refusal.exception.diag.constraint_name, 'kkt_receipt_in_shift')

    def test_a_shift_is_closed_once(self):
        opened = self.register.shift_id
        self.register.action_close_shift()
        with self._refuses(psycopg2.errors.UniqueViolation) as refusal:
            self.env['kkt.receipt'].sudo()._issue_report(self.register, 'shift_close', opened)
            self.env.flush_all()
        self.assertIn('shift_report_uniq', str(refusal.exception))

    def test_a_closed_shift_has_its_counters(self):
        with self._refuses(psycopg2.errors.CheckViolation):
            self._set_in_sql(self.register.shift_id, closed_at='2026-11-28')

    def test_shifts_are_kept(self):
        with self.assertRaisesRegex(UserError, "never deleted"):
            self.register.shift_id.sudo().unlink()

    # -- people ------------------------------------------------------------------------------------------------------------

    def test_who_may_open_and_close_by_hand(self):
        cashier = self._create_user('shift_cashier', 'point_of_sale.group_pos_user')
        manager = self._create_user('shift_manager', 'point_of_sale.group_pos_manager')
        with self.assertRaisesRegex(AccessError, "administrator of the point of sale"):
            self.register.with_user(cashier).action_close_shift()
        self.register.with_user(manager).action_close_shift()
        self.assertEqual(self._get_last_document()['operator'], manager.name)
        with self.assertRaises(AccessError):
            self.register.with_user(cashier).action_open_shift()
        self.register.with_user(manager).action_open_shift()
        self.assertEqual(self.register.shift_id.number, 2)
        self.assertTrue(self.register.shift_id.with_user(cashier).read(['number', 'opened_at']))

    def test_nobody_opens_twice_or_closes_what_is_closed(self):
        with self.assertRaisesRegex(UserError, "is open"):
            self.register.action_open_shift()
        self.register.action_close_shift()
        with self.assertRaisesRegex(UserError, "no open shift"):
            self.register.action_close_shift()

    def test_what_must_wait_for_its_closing(self):
        self.env['pos.session'].search([('config_id', '=', self.config.id)]).state = 'closed'
        config = self.env['pos.config'].create({'name': "Other"})
        for values in (
            {'fiscal_drive_number': "9999000000000099"},
            {'pos_config_id': config.id},
            {'pos_config_id': False},
            {'active': False},
        ):
            with self.subTest(values), self.assertRaisesRegex(UserError, "Press Close Shift"):
                self.register.write(values)
        self.register.action_close_shift()
        self.register.write({'fiscal_drive_number': "9999000000000099", 'pos_config_id': config.id})
        self.assertEqual(self.register.fiscal_drive_number, "9999000000000099")

    def test_shift_numbers_go_on_per_drive(self):
        first = self.register.fiscal_drive_number
        self.register.action_close_shift()
        self.register.fiscal_drive_number = "9999000000000099"
        self._sell([(self.frame, 1)])
        self.register.action_close_shift()
        self.register.fiscal_drive_number = first
        self._sell([(self.frame, 1)])
        self.assertEqual(
            self._get_documents(),
            [
                ('shift_open', 1, 1, 0),
                ('shift_close', 2, 1, 0),
                ('shift_open', 1, 1, 0),
                ('receipt', 2, 1, 1),
                ('shift_close', 3, 1, 0),
                ('shift_open', 3, 2, 0),
                ('receipt', 4, 2, 1),
            ],
        )
        self.register.action_close_shift()
        self.assertEqual(self._get_last_document()['fiscalDriveSumReports']['totalReceiptBsoCount'], 1, "of this drive alone")

    def test_the_row_of_the_register_is_not_written_by_people(self):
        with self.assertRaises(AccessError):
            self.register.with_user(self.env.user).with_env(self.register.env(su=False)).write({'shift_id': False})
