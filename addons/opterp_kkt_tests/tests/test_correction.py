from datetime import date, timedelta

import psycopg2

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from odoo.addons.opterp_kkt.core.registration_number import complete

from .common import stamp
from .delivering import REFUSED, DeliveryCommon

ORDER_NUMBER = "12-34/5"


class CorrectionCommon(DeliveryCommon):
    """`_open` presses the button, `_sign` goes through the dialog's steps."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.vat_10 = cls.env['account.tax'].create({'name': "VAT 10 %", 'amount': 10, 'price_include_override': 'tax_included'})
        cls.cashier = cls._create_user('cashier', 'base.group_user,point_of_sale.group_pos_user')
        cls.manager = cls._create_user('manager', 'base.group_user,point_of_sale.group_pos_manager')

    def _open(self, source, **values):
        action = source.action_kkt_correct() if source._name == 'pos.order' else source.action_correct()
        draft = self.env[action['res_model']].browse(action['res_id'])
        draft.write(values)
        return draft

    def _sign(self, draft):
        """The documents, in the order of their numbers."""
        draft.action_next()
        if draft.step == 'content':
            draft.action_next()
        self.assertEqual(draft.step, 'paper')
        before = self.env['kkt.receipt'].search([], order='id DESC', limit=1)
        draft.action_sign()
        self.env.flush_all()
        return self.env['kkt.receipt'].search([('id', '>', before.id), ('document_type', '=', 'correction')], order='fd_number')

    def _open_typed(self, **values):
        """A sale without the register, with lines typed in."""
        line = {'name': "Frame", 'quantity': 1, 'total': 1200, 'vat_rate': '1', **values.pop('line', {})}
        return self._open(
            self.register,
            **{
                'settlement_day': date(2025, 12, 30),
                'line_ids': [Command.create(line)],
                'paid_cash': 1200,
                **values,
            },
        )

    def _sell_unregistered(self, *args, **values):
        """An order of a point of sale whose register is not there at the moment."""
        self._close_session()
        self.register.pos_config_id = False
        self._open_session(self.config)
        order = self._sell(*args, **values)
        self._close_session()
        self.register.pos_config_id = self.config
        self._open_session(self.config)
        return order

    def setUp(self):
        super().setUp()
        self.receipt = self._sell([(self.frame, 1), (self.solution, 1)]).kkt_receipt_ids

    def _correct_rate(self, receipt=None, vat_rate='2'):
        """The solution is at 10 %, not at 22 %."""
        draft = self._open(receipt or self.receipt, note="wrong tax")
        draft.line_ids[1].vat_rate = vat_rate
        return self._sign(draft)

    def _assert_refused(self, words, draft, **values):
        """Said at the step where it is typed, and nothing is numbered."""
        draft.write(values)
        number, count = self.register.last_fd_number, self.env['kkt.correction'].search_count([])
        for press in (draft.action_next, draft.action_next, draft.action_sign):
            try:
                press()
            except UserError as error:
                self.assertRegex(str(error), words)
                break
        else:
            self.fail("nothing was refused")
        with self.assertRaisesRegex(UserError, words):
            draft.action_sign()
        self.assertEqual(self.register.last_fd_number, number)
        self.assertEqual(self.env['kkt.correction'].search_count([]), count)


@tagged('post_install', '-at_install')
class TestCorrection(CorrectionCommon):
    """Correction receipts: what was wrong is taken back and put right, what had no receipt gets one."""

    # -- a wrong receipt ---------------------------------------------------------------------------------------------------

    def test_wrong_receipt_is_taken_back_and_put_right(self):
        reverse, right = self._correct_rate()
        self.assertRecordValues(
            reverse + right,
            [
                {
                    'fd_number': self.receipt.fd_number + number,
                    'operation_type': operation_type,
                    'correction_role': role,
                    'corrected_receipt_id': self.receipt.id,
                    'state': 'pending',
                    'total': 974990,
                    'correction_note': "wrong tax",
                    'pos_order_id': False,
                }
                for number, operation_type, role in ((1, '2', 'reverse'), (2, '1', 'right'))
            ],
        )
        wrong, back, better = (self._get_document(each) for each in (self.receipt, reverse, right))
        self.assertEqual(back['items'], wrong['items'])
        self.assertEqual((back['cashTotalSum'], back['ecashTotalSum']), (wrong['cashTotalSum'], wrong['ecashTotalSum']))
        self.assertEqual([(item['nds'], item.get('ndsSum')) for item in better['items']], [(6, None), (2, 7726)])
        for document in (back, better):
            self.assertEqual((document['code'], document['correctionType']), (31, 0))
            self.assertEqual(document['propertiesData'], self.receipt.fiscal_sign)
            self.assertEqual(document['correctionBase'], {'correctionDocumentDate': wrong['dateTime'] // 86400 * 86400})
            self.assertEqual(document['operator'], self.env.user.name)
        self.assertEqual(self.receipt.correcting_receipt_ids, reverse + right)
        self.assertFalse(self.receipt.may_be_corrected)

    def test_the_wrong_receipt_and_its_order_stay(self):
        order = self.receipt.pos_order_id
        payload, lines, payments = self.receipt.payload, order.lines.ids, order.payment_ids.mapped('amount')
        self._correct_rate()
        self.env.invalidate_all()
        self.assertEqual((self.receipt.payload, order.lines.ids), (payload, lines))
        self.assertEqual(order.payment_ids.mapped('amount'), payments)
        self.assertEqual(order.kkt_receipt_ids, self.receipt)

    def test_first_taken_back_alone_and_put_right_later(self):
        reverse = self._sign(self._open(self.receipt, puts_right=False))
        self.assertEqual(reverse.mapped('correction_role'), ['reverse'])
        draft = self._open(self.receipt, puts_right=False)  # there is nothing else to do
        self.assertFalse(draft.takes_back)
        right = self._sign(draft)
        self.assertEqual(right.mapped('correction_role'), ['right'])
        self.assertEqual(right.correction_id.reverse_id, reverse.correction_id)

    def test_everything_may_be_changed(self):
        draft = self._open(
            self.receipt, taxation_system='2', operation_type='2', paid_cash=0, paid_credit=100, contact="ivan@example.com"
        )
        draft.line_ids[0].unlink()
        draft.line_ids.write({'total': 100, 'quantity': 2, 'subject': '4', 'name': "Eye test", 'vat_rate': '6'})
        document = self._get_document(self._sign(draft)[1])
        item = document['items'][0]
        self.assertEqual((document['appliedTaxationType'], document['operationType'], document['creditSum']), (2, 2, 10000))
        self.assertEqual((item['name'], item['price'], item['quantity']), ("Eye test", 5000, 2))
        self.assertEqual((item['productType'], item['paymentType'], item['nds']), (4, 6, 6))
        self.assertEqual(document['buyerPhoneOrAddress'], "ivan@example.com")

    def test_by_order_of_the_tax_office(self):
        self._assert_refused("order: it is empty", self._open(self.receipt, reason='1'))
        self._assert_refused("has none", self._open(self.receipt, order_number=ORDER_NUMBER))
        documents = self._sign(self._open(self.receipt, reason='1', order_number=ORDER_NUMBER))
        for document in map(self._get_document, documents):
            self.assertEqual(document['correctionType'], 1)
            self.assertEqual(document['correctionBase']['correctionDocumentNumber'], ORDER_NUMBER)

    def test_taken_back_once(self):
        stale = self._open(self.receipt)
        self._correct_rate()
        self._assert_refused("has been corrected already", stale)
        with self.assertRaisesRegex(UserError, "has been corrected already"):
            self.receipt.action_correct()

    def test_postgresql_takes_back_once(self):
        reverse = self._correct_rate()[0].correction_id.sudo()
        with self._refuses(psycopg2.IntegrityError):
            reverse.copy()
            self.env.flush_all()

    def test_no_right_one_without_its_reverse(self):
        values = {
            'register_id': self.register.id,
            'role': 'right',
            'settlement_day': date(2026, 1, 1),
            'operation_type': '1',
            'corrected_receipt_id': self.receipt.id,
        }
        with self._refuses(psycopg2.IntegrityError):
            self.env['kkt.correction'].sudo().create(values)

    def test_a_correction_is_corrected_a_reverse_is_not(self):
        reverse, right = self._correct_rate()
        with self.assertRaisesRegex(UserError, "it is not corrected"):
            reverse.action_correct()
        self.assertEqual((reverse.may_be_corrected, right.may_be_corrected), (False, True))
        second = self._correct_rate(right, '7')
        self.assertEqual(second.mapped('correction_role'), ['reverse', 'right'])
        self.assertEqual(self._get_document(second[0])['propertiesData'], right.fiscal_sign)
        self.assertEqual([item['nds'] for item in self._get_document(second[1])['items']], [6, 7])

    def test_the_day_is_that_of_the_wrong_receipt(self):
        self._assert_refused("and its correction names that day", self._open(self.receipt, settlement_day=date(2026, 1, 2)))

    def test_a_receipt_without_numbers_is_not_corrected(self):
        receipt = self._sell_unbuildable()[1]
        self.assertFalse(receipt.may_be_corrected)
        with self.assertRaisesRegex(UserError, "no FD number and no fiscal sign"):
            receipt.action_correct()

    def test_at_another_register_of_the_company(self):
        _config, register = self._create_second_shop()
        self._archive_register()
        draft = self._open(self.receipt)
        self.assertEqual(draft.register_id, register)
        self.assertEqual(self._sign(draft).register_id, register)

    def test_an_archived_register_signs_nothing(self):
        draft = self._open(self.receipt)
        self._archive_register()
        self._assert_refused("is archived", draft)

    def test_a_register_of_another_company(self):
        company = self.env['res.company'].create(
            {'name': "Other", 'vat': '7707083893', 'currency_id': self.company.currency_id.id}
        )
        self.env.user.company_ids |= company
        other = self.register.sudo().copy(
            {
                'name': "Elsewhere",
                'company_id': company.id,
                'pos_config_id': False,
                'serial_number': 'OTHER1',
                'registration_number': complete('0000007777', company.vat, 'OTHER1'),
                'fiscal_drive_number': '9999000000007777',
                'ofd_id': self._create_ofd(company_id=company.id).id,
            }
        )
        self._assert_refused("registered for another company", self._open(self.receipt, register_id=other.id))

    # -- lines and payments ------------------------------------------------------------------------------------------------

    def test_lines_and_payments_must_be_the_same(self):
        self._assert_refused(
            r"Payments: they are 1200\.00 together, and the lines 1000\.00", self._open_typed(line={'total': 1000})
        )

    def test_wrong_lines(self):
        for words, line in (
            (r"^Line 1 \(Frame\): VAT: 22 % was no rate of 12/30/2025", {'vat_rate': '11'}),
            (r"^Line 1 \(Frame\): VAT: no rate is chosen", {'vat_rate': False}),
            (r"^Line 1 \(Frame\): Quantity: it must be positive", {'quantity': 0}),
            (r"^Line 1 \(Frame\): Sum: it is negative", {'total': -1200}),
            (r"^Line 1 \(Frame\): These are marked goods", {'subject': '33'}),
            (r"^Line 1 \(眼鏡\): «наименование предмета расчёта» \(1030\) is empty. Fill it in\.$", {'name': "眼鏡"}),
        ):
            with self.subTest(line=line):
                self._assert_refused(words, self._open_typed(line=line))
        self._assert_refused("Lines: there are none", self._open_typed(line_ids=[], paid_cash=0))
        self._assert_refused("is neither", self._open_typed(contact="Ivan"))

    def test_wrong_days(self):
        self._assert_refused("say on which day", self._open_typed(settlement_day=False))
        self._assert_refused("has not come yet", self._open_typed(settlement_day=date(2099, 1, 1)))
        self._assert_refused("no VAT rates of then", self._open_typed(settlement_day=date(2018, 12, 31)))

    def test_a_day_before_the_drive_is_pointed_out(self):
        self.assertTrue(self._open_typed().is_before_drive)
        self.assertFalse(self._open_typed(settlement_day=self.register._get_day()).is_before_drive)
        self.assertFalse(self._open(self.receipt).is_before_drive)

    def test_company_without_inn(self):
        draft = self._open_typed()
        self._set_in_sql(self.register, inn='1')
        self._assert_refused("no INN", draft)

    # -- without a receipt -------------------------------------------------------------------------------------------------

    def test_typed_in(self):
        receipt = self._sign(self._open_typed(contact="8 916 123-45-67"))
        document = self._get_document(receipt)
        self.assertEqual(receipt.correction_role, 'unregistered')
        self.assertEqual((document['operationType'], document['totalSum'], document['nds18']), (1, 120000, 20000))
        self.assertEqual(document['correctionBase'], {'correctionDocumentDate': 1767052800})
        self.assertEqual(document['buyerPhoneOrAddress'], "+79161234567")
        self.assertNotIn('propertiesData', document)

    def test_order_without_receipt(self):
        order = self._sell_unregistered(
            [(self.frame, 2), (self._create_goods("Discount", -800), 1)], [(self.bank_pm1, 10000), (self.cash_pm1, 7000)]
        )
        self.assertFalse(order.kkt_receipt_ids)
        document = self._get_document(self._sign(self._open(order)))
        self.assertEqual([(item['quantity'], item['sum']) for item in document['items']], [(2, 1700000)])
        self.assertEqual((document['ecashTotalSum'], document['cashTotalSum']), (1000000, 700000))
        action = order.action_kkt_correct()
        self.assertEqual(self.env['kkt.receipt'].search(action['domain']).correction_pos_order_id, order)

    def test_order_of_a_clock_ahead(self):
        order = self._sell_unregistered([(self.frame, 1)])
        order.date_order += timedelta(days=1)
        self.assertEqual(self._open(order).settlement_day, self.register._get_day())

    def test_order_twice(self):
        order = self._sell_unregistered([(self.frame, 1)])
        stale = self._open(order)
        self._sign(self._open(order))
        self._assert_refused("has its correction already", stale)

    def test_postgresql_corrects_an_order_once(self):
        order = self._sell_unregistered([(self.frame, 1)])
        correction = self._sign(self._open(order)).correction_id.sudo()
        with self._refuses(psycopg2.IntegrityError):
            correction.copy()
            self.env.flush_all()

    def test_exchange_without_receipt(self):
        order = self._sell_unregistered([(self.frame, 1), (self.solution, -1)])
        documents = self._sign(self._open(order)) + self._sign(self._open(order))
        self.assertEqual(documents.mapped('operation_type'), ['1', '2'])
        self.assertEqual(documents.mapped('total'), [890000, 84990])

    def test_order_with_a_receipt(self):
        with self.assertRaises(UserError):
            self._sign(self._open(self.receipt.pos_order_id))

    def test_order_whose_receipt_can_not_be_built(self):
        """*Retry* or a correction: one of both."""
        order, receipt = self._sell_unbuildable()
        draft = self._open(order)
        self.assertFalse(draft.line_ids.vat_rate)
        draft.line_ids.vat_rate = '6'
        draft.paid_cash = draft.lines_total
        self._assert_refused("could not be built yet", draft)
        receipt._handle("no such rate")
        correction = self._sign(draft)
        order.lines.tax_ids.kkt_vat_rate = '6'
        with self.assertRaisesRegex(UserError, "would state the same sale twice"):
            receipt.action_retry()
        self.assertEqual((receipt.state, correction.state), ('rejected', 'pending'))

    def test_order_that_is_not_paid(self):
        order = self._sell_unregistered([(self.frame, 1)])
        draft = self._open(order)
        self._set_in_sql(order, state='draft')
        self._assert_refused("is not paid", draft)

    # -- what follows ------------------------------------------------------------------------------------------------------

    def test_refund_states_what_was_put_right(self):
        self._correct_rate()
        line = self.receipt.pos_order_id.lines[1]
        refund = self._sell([self._refund_line(line, 1)], is_refund=True)
        self.assertEqual([item['nds'] for item in self._get_document(refund.kkt_receipt_ids)['items']], [2])

    def test_refund_of_a_sale_without_register(self):
        order = self._sell_unregistered([(self.solution, 1)])
        draft = self._open(order)
        draft.line_ids.vat_rate = '2'
        self._sign(draft)
        refund = self._sell([self._refund_line(order.lines, 1)], is_refund=True)
        self.assertEqual([item['nds'] for item in self._get_document(refund.kkt_receipt_ids)['items']], [2])

    def test_reverse_reaches_the_ofd_before_the_right_one(self):
        documents = self.receipt + self._correct_rate()
        self._deliver(count=3)
        self.assertEqual([key for key, _payload in self.receiver.sent], documents.mapped('idempotency_key'))
        self.assertEqual(documents.mapped('state'), ['delivered'] * 3)

    def test_corrections_are_later_than_what_they_correct(self):
        self.env.flush_all()
        self._set_in_sql(self.receipt, hlc_local_time=9_000_000_000_000)
        reverse, right = self._correct_rate()
        self.assertLess(stamp(self.receipt), stamp(reverse))
        self.assertLess(stamp(reverse), stamp(right))

    def test_refused_receipt_is_handled_with_it(self):
        self.receiver.verdicts[self.receipt.idempotency_key] = REFUSED
        self._deliver()
        self.assertEqual(self.receipt.state, 'rejected')
        draft = self._open(self.receipt)
        self.assertTrue(draft.is_refused)
        documents = self._sign(draft)
        self.assertTrue(self.receipt.handled_at)
        for document in documents:
            self.assertIn(document.display_name, self.receipt.handled_reason)

    def test_refused_receipt_may_stay_open(self):
        self.receiver.verdicts[self.receipt.idempotency_key] = REFUSED
        self._deliver()
        self._sign(self._open(self.receipt, marks_handled=False))
        self.assertFalse(self.receipt.handled_at)

    # -- the dialog --------------------------------------------------------------------------------------------------------

    def test_papers_are_shown_before_anything_is_numbered(self):
        draft = self._open(self.receipt)
        number = self.register.last_fd_number
        draft.action_next()
        self.assertFalse(draft.paper)
        draft.action_next()
        self.assertEqual(draft.paper.count("КАССОВЫЙ ЧЕК КОРРЕКЦИИ"), 2)
        self.assertEqual(draft.paper.count("ПРОЕКТ, НЕ ПОДПИСАН"), 2)
        self.assertLess(draft.paper.index("ВОЗВРАТ ПРИХОДА"), draft.paper.rindex("ПРИХОД"))
        draft.action_back()
        self.assertEqual(draft.step, 'content')
        draft.action_back()
        self.assertEqual(draft.step, 'cause')
        self.assertEqual(self.register.last_fd_number, number)

    def test_dialog_begins_with_what_the_receipt_states(self):
        draft = self._open(self.receipt)
        draft.action_next()
        form = Form(draft)
        self.assertEqual((form.lines_total, form.paid_total), (9749.9, 9749.9))
        with form.line_ids.edit(0) as line:
            line.total = 8800
        self.assertEqual(form.lines_total, 9649.9)

    def test_signed_document_opens(self):
        draft = self._open(self.receipt)
        draft.action_next()
        draft.action_next()
        action = draft.action_sign()
        self.assertEqual(self.env['kkt.receipt'].search(action['domain']), self.receipt.correcting_receipt_ids)
        draft = self._open_typed()
        action = draft.action_sign()
        self.assertEqual(self.env['kkt.receipt'].browse(action['res_id']).correction_role, 'unregistered')

    # -- rights and permanence ---------------------------------------------------------------------------------------------

    def test_only_fiscal_administrators_correct(self):
        order = self._sell_unregistered([(self.frame, 1)])
        draft = self._open(self.receipt)
        for user in (self.cashier, self.manager):
            for press in (
                self.receipt.with_user(user).action_correct,
                self.register.with_user(user).action_correct,
                order.with_user(user).action_kkt_correct,
                draft.with_user(user).action_next,
                draft.with_user(user).action_back,
                draft.with_user(user).action_sign,
            ):
                with self.subTest(user=user.login, press=press.__name__), self.assertRaises(AccessError):
                    press()
            with self.assertRaises(AccessError):
                self.env['kkt.correction.draft'].with_user(user).create({'register_id': self.register.id})

    def test_nobody_writes_corrections(self):
        correction = self._correct_rate()[0].correction_id
        for user in (self.cashier, self.manager, self.env.user):
            own = correction.with_user(user)
            self.assertEqual(own.role, 'reverse')
            for press in (lambda own=own: own.write({'note': "x"}), own.unlink, own.copy):
                with self.assertRaises(UserError):  # no right to, or never
                    press()
        with self.assertRaisesRegex(UserError, "never changes"):
            correction.sudo().write({'note': "x"})
        with self.assertRaisesRegex(UserError, "never deleted"):
            correction.sudo().unlink()

    def test_another_company_sees_and_corrects_nothing(self):
        reverse = self._correct_rate()[0]
        second = self._sell([(self.frame, 1)]).kkt_receipt_ids
        company = self.env['res.company'].create({'name': "Other", 'currency_id': self.company.currency_id.id})
        other = self._create_user(
            'otheradmin', 'base.group_user,opterp_kkt.group_fiscal_admin', company_id=company.id, company_ids=company.ids
        )
        with self.assertRaises(AccessError):
            reverse.correction_id.with_user(other).read(['note'])
        with self.assertRaises(AccessError):
            second.with_user(other).action_correct()
        draft = (
            self.env['kkt.correction.draft']
            .with_user(other)
            .create({'register_id': self.register.id, 'corrected_receipt_id': second.id})
        )
        for press in (draft.action_next, draft.action_back, draft.action_sign):
            with self.assertRaises(AccessError):
                press()
        self.assertFalse(second.correcting_receipt_ids)

    def test_a_document_is_of_one_correction(self):
        reverse, right = self._correct_rate()
        for receipt, values in ((self.receipt, {'correction_id': reverse.correction_id.id}), (right, {'correction_id': None})):
            with self._refuses(psycopg2.IntegrityError):
                self._set_in_sql(receipt, **values)
        with self._refuses(psycopg2.IntegrityError):
            self._set_in_sql(right, correction_id=reverse.correction_id.id)
