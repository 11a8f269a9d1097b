import io
import json
from contextlib import redirect_stdout
from types import SimpleNamespace

from odoo.exceptions import AccessError
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from odoo.addons.opterp_kkt.cli.kkt import Kkt

from .common import KktSaleCommon


def words(document):
    """The paper that the till gets, as (left, right) of each line."""
    return [(*line, "")[:2] for line in document['lines']]


class PaperCommon(KktSaleCommon):
    def _sell_one(self):
        return self._sell([(self.solution, 1)])

    def _refuse(self, receipt):
        self._set_in_sql(receipt, state='rejected', last_error="bad_vat: no such rate")


@tagged('post_install', '-at_install')
class TestPaper(PaperCommon):
    """The paper that the till gets with an order, that people see in a form, and that the command line writes."""

    # -- for the till ------------------------------------------------------------------------------------------------------

    def test_sale_and_refund(self):
        sale = self._sell_one()
        [paper] = sale.kkt_documents
        for line in [
            ("КАССОВЫЙ ЧЕК", ""),
            ("ПРИХОД", ""),
            ("1. Solution", ""),
            ("НДС 22%", "153.26"),
            ("ИТОГ", "=849.90"),
            ("СУММА НДС 22%", "=153.26"),
            ("ФД", "2"),
            ("ФП", sale.kkt_receipt_ids.fiscal_sign),
        ]:
            self.assertIn(line, words(paper))
        [paper] = self._sell([self._refund_line(sale.lines, 1)], is_refund=True).kkt_documents
        self.assertIn(("ВОЗВРАТ ПРИХОДА", ""), words(paper))
        self.assertIn(("ИТОГ", "=849.90"), words(paper))
        self.assertNotIn("-849.90", str(paper))

    def test_exchange_is_two_slips(self):
        sale = self._sell_one()
        sold, taken_back = self._sell([(self.frame, 1), self._refund_line(sale.lines, 1)]).kkt_documents
        self.assertIn(("ИТОГ", "=8900.00"), words(sold))
        self.assertIn(("ИТОГ", "=849.90"), words(taken_back))

    def test_time_is_the_registers(self):
        self.register.tz = 'Asia/Kamchatka'
        order = self._sell_one()
        moment = self.register._get_local_time(self.register.last_document_time)
        self.assertIn((f"{moment:%d.%m.%Y}", f"{moment:%H:%M}"), words(order.kkt_documents[0]))

    def test_printer_of_58_mm(self):
        self.register.paper_width = '58'
        [paper] = self._sell_one().kkt_documents
        self.assertEqual(paper['paper_width'], '58')
        self.assertIn(["ТЕСТ, не является фискальным", "", 'center bold'], paper['lines'])
        self.assertLessEqual(max(len(left + right) for left, right in words(paper) if not left.startswith("t=")), 32)

    def test_could_not_be_built(self):
        """The paper says so, also when somebody has closed it, and becomes a receipt when it is built."""
        order, receipt = self._sell_unbuildable()
        self.assertEqual(words(order.kkt_documents[0])[1:3], [("КАССОВЫЙ ЧЕК НЕ СФОРМИРОВАН", ""), ("ПРИХОД", "")])
        self.assertIn("магазина извещён", str(order.kkt_documents))
        receipt._handle("put right by a correction")
        self.assertIn("Как оформлен чек", str(order.kkt_documents))
        self.taxes['tax21'].kkt_vat_rate = '11'
        receipt.action_retry()
        self.assertIn(("ИТОГ", f"={order.amount_total:.2f}"), words(order.kkt_documents[0]))
        self.assertNotIn("НЕ СФОРМИРОВАН", str(order.kkt_documents))

    def test_refused_by_the_ofd(self):
        order = self._sell_one()
        self._refuse(order.kkt_receipt_ids)
        [paper] = order.kkt_documents
        self.assertEqual(words(paper)[1], ("ОФД НЕ ПРИНЯЛ ЭТОТ ЧЕК", ""))
        self.assertIn(("ИТОГ", "=849.90"), words(paper))

    def test_register_elsewhere(self):
        """It gets the document without numbers, and its answer brings them."""
        order = self._sell_one()
        receipt = order.kkt_receipt_ids
        [paper] = order.kkt_documents
        payload = json.loads(receipt.payload)
        for name in ('dateTime', 'shiftNumber', 'requestNumber', 'fiscalDriveNumber', 'fiscalDocumentNumber', 'fiscalSign'):
            del payload['document'][name]
        self._set_in_sql(receipt, payload=json.dumps(payload))
        self.assertEqual(order.kkt_documents, [paper])
        self._set_in_sql(receipt, qr="no QR code")
        self.assertIn(["no QR code", "", 'qr'], order.kkt_documents[0]['lines'])

    def test_not_numbered_yet(self):
        order = self._sell_one()
        self._set_in_sql(order.kkt_receipt_ids, numbers_follow=True, fd_number=None)
        self.assertEqual(words(order.kkt_documents[0])[1], ("КАССОВЫЙ ЧЕК ЕЩЁ НЕ СФОРМИРОВАН", ""))

    # -- copies ------------------------------------------------------------------------------------------------------------

    def _is_copy(self, receipt):
        receipt.action_print_80()
        return "КОПИЯ" in receipt._get_sheet('80')['slip']

    def test_second_print_is_a_copy(self):
        order = self._sell_one()
        self.assertNotIn('is_copy', order.kkt_documents[0])
        self.assertEqual([self._is_copy(order.kkt_receipt_ids) for _each in range(3)], [False, True, True])
        self.assertTrue(order.kkt_documents[0]['is_copy'], "the till knows")
        self.assertEqual(order.kkt_receipt_ids.print_count, 3)

    def test_print_after_the_till_is_a_copy(self):
        order = self._sell_one()
        order.nb_print = 1
        self.assertTrue(self._is_copy(order.kkt_receipt_ids))

    def test_print_without_a_document_does_not_count(self):
        _order, receipt = self._sell_unbuildable()
        receipt.action_print_58()
        self.assertIn("НЕ СФОРМИРОВАН", receipt._get_sheet('58')['slip'])
        self.assertEqual(receipt.print_count, 0)

    # -- for people --------------------------------------------------------------------------------------------------------

    def test_form_shows_the_paper(self):
        receipt = self._sell([(self._create_goods("<b>Frame & Co</b>", 100, self.exempt), 1)]).kkt_receipt_ids
        self.assertIn("1. &lt;b&gt;Frame &amp; Co&lt;/b&gt;", receipt.document_paper)
        self.assertIn('<img class="o_kkt_qr" alt="QR" src="data:image/svg+xml;base64,', receipt.document_paper)
        self.assertNotIn("КОПИЯ", receipt.document_paper)

    def test_command_line(self):
        receipt = self._sell_one().kkt_receipt_ids
        args = SimpleNamespace(document=f"{receipt.fiscal_drive_number}/{receipt.fd_number}", form='paper', hex=False)
        printed = io.StringIO()
        with redirect_stdout(printed):
            Kkt()._show(self.env, args)
        self.assertIn("ИТОГ" + "=849.90".rjust(44), printed.getvalue().splitlines())
        self.assertIn(receipt.qr, printed.getvalue().replace("\n", ""))


@tagged('post_install', '-at_install')
class TestPaperPage(PaperCommon, HttpCase):
    """The page to print, as a browser gets it."""

    def _get_page(self, login, action):
        self.authenticate(login, login)
        self.env.flush_all()
        return self.url_open(action['url'])

    def test_cashier_prints(self):
        self._create_user('paper_cashier', 'point_of_sale.group_pos_user')
        receipt = self._sell_one().kkt_receipt_ids
        for paper_width, action_print in [('80', receipt.action_print_80), ('58', receipt.action_print_58)]:
            page = self._get_page('paper_cashier', action_print()).text
            self.assertIn("КАССОВЫЙ ЧЕК", page)
            self.assertRegex(page, rf"@page o_kkt_{receipt.id} \{{size: {paper_width}mm \d+\.\dmm; margin: 4mm\}}")
            self.assertIn(f'o_kkt_slip o_kkt_{paper_width}mm', page)
        self.assertIn("КОПИЯ", page)
        self.assertEqual(receipt.print_count, 2)

    def test_others_do_not(self):
        self._create_user('paper_portal', 'base.group_portal')
        receipt = self._sell_one().kkt_receipt_ids
        with mute_logger('odoo.http'):
            answer = self._get_page('paper_portal', {'url': f'/report/html/opterp_kkt.report_kkt_receipt_80/{receipt.id}'})
        self.assertNotIn("КАССОВЫЙ ЧЕК", answer.text)
        with self.assertRaises(AccessError):
            receipt.with_user(self.env.ref('base.public_user')).action_print_80()
        self.assertEqual(receipt.print_count, 0)
