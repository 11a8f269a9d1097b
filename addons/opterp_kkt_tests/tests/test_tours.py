import os
from datetime import timedelta
from io import BytesIO
from unittest import skipIf
from unittest.mock import patch

from PIL import Image

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import HttpCase, tagged
from odoo.tests.common import ChromeBrowser

from odoo.addons.point_of_sale.tests.test_frontend import TestPointOfSaleHttpCommon

from .common import KktCommon
from .qr_reader import read_qr

at_length = skipIf(os.environ.get('SHORT'), "a part of make proofs")


def stamp(receipt):
    return receipt.hlc_local_time, receipt.hlc_logical_counter


def till_stamp(order):
    return order.kkt_hlc['local_time'], order.kkt_hlc['logical_counter']


class PatientBrowser:
    """Gives the browser ten times as long as Odoo does: a busy machine is no failure."""

    test_cursor_lock_timeout = KktCommon.test_cursor_lock_timeout

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        ten = property(lambda browser: 10, lambda browser, value: None)
        cls.startClassPatcher(patch.object(ChromeBrowser, 'throttling_factor', ten, create=True))


@tagged('post_install', '-at_install')
class TestKktTours(PatientBrowser, KktCommon, TestPointOfSaleHttpCommon):
    """The cashier's side in a browser, up to `pending`. `make test` leaves out what `make proofs` shows `at_length`: each tour
    starts a browser.
    """

    def setUp(self):
        super().setUp()
        self._get_jobs().lastcall = fields.Datetime.now()

    def _get_jobs(self):
        return self.env['ir.cron'].sudo().search([('model_id.model', '=', 'kkt.delivery')])

    def _run_tour(self, name, register=True, user=None):
        user = user or self.pos_user
        if register:
            self.register = self._create_register(self.main_pos_config)
        self.main_pos_config.with_user(user).open_ui()
        self.start_pos_tour(name, login=user.login)
        return self.env['pos.order'].search([('session_id', '=', self.main_pos_config.current_session_id.id)], order='id')

    def test_sale_and_refund(self):
        sale, refund = self._run_tour('KktSaleAndRefundTour')
        receipts = (sale + refund).kkt_receipt_ids.sorted('fd_number')
        self.assertRecordValues(
            receipts,
            [
                {
                    'pos_order_id': sale.id,
                    'state': 'pending',
                    'operation_type': '1',
                    'fd_number': 2,
                    'hlc_drift': False,
                    'refunded_receipt_id': False,
                },
                {
                    'pos_order_id': refund.id,
                    'state': 'pending',
                    'operation_type': '2',
                    'fd_number': 3,
                    'hlc_drift': False,
                    'refunded_receipt_id': sale.kkt_receipt_ids.id,
                },
            ],
        )
        # The computer's clock ran ahead, then was set back: wall clocks alone would put the refund before the sale.
        history = [till_stamp(sale), stamp(receipts[0]), till_stamp(refund), stamp(receipts[1])]
        self.assertEqual(history, sorted(set(history)), "cause before effect: till, register, till, register")
        self.assertEqual(sale.kkt_hlc['node'], refund.kkt_hlc['node'])

    def test_offline_sale(self):
        offline, online = self._run_tour('KktOfflineTour')
        self.assertRecordValues(
            (offline + online).kkt_receipt_ids.sorted('fd_number'),
            [
                {'pos_order_id': offline.id, 'state': 'pending', 'operation_type': '1'},
                {'pos_order_id': online.id, 'state': 'pending', 'operation_type': '1'},
            ],
        )
        self.assertLess(till_stamp(offline), till_stamp(online))

    # -- the icon, right from the start ------------------------------------------------------------------------------------

    def _run_status_tour(self, name, lang='en_US', **since):
        """Open the till when a document of its register has waited for so long."""
        self.env['res.lang']._activate_lang(lang)
        self.pos_user.lang = lang
        self.register = self._create_register(self.main_pos_config)
        if since:
            self._make_wait(**since)
        self.main_pos_config.with_user(self.pos_user).open_ui()
        self.start_pos_tour(name)
        self.assertEqual(self.register.get_health()['waiting'], 1, "it waits still: to look changes nothing")

    def _make_wait(self, **since):
        self.register.sudo().action_open_shift()
        self._let_wait(**since)

    def _let_wait(self, **since):
        """What is not delivered has waited for so long."""
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE kkt_receipt SET create_date = clock_timestamp() AT TIME ZONE 'UTC' - %s", [timedelta(**since)]
        )
        self.env.invalidate_all()

    @at_length
    def test_status_green(self):
        self._run_status_tour('KktStatusGreenTour', seconds=-600)  # however long the tour takes

    @at_length
    def test_status_amber(self):
        self._run_status_tour('KktStatusAmberTour', minutes=20)

    def test_status_stopped_in_russian(self):
        self._get_jobs().active = False
        self._run_status_tour('KktStatusStoppedRussianTour', lang='ru_RU', minutes=20)

    @at_length
    def test_status_red(self):
        self._run_status_tour('KktStatusRedTour', minutes=61)

    def test_status_rejected_until_handled(self):
        """What was handled does not count."""
        self.register = self._create_register(self.main_pos_config)
        receipt = self.env['kkt.receipt'].sudo().create({'register_id': self.register.id, 'state': 'rejected'})
        self.main_pos_config.with_user(self.pos_user).open_ui()
        self.start_pos_tour('KktStatusRejectedTour')
        self.assertEqual(self.register.get_health()['rejected'], 1)
        receipt._handle("put right by hand")
        self._let_wait(seconds=-600)  # the opening of the shift, however long the tours take
        self.start_pos_tour('KktStatusHandledTour')
        self.assertEqual(self.register.get_health()['rejected'], 0)

    @at_length
    def test_wrong_clock(self):
        self._run_tour('KktClockTour')

    # -- paper -------------------------------------------------------------------------------------------------------------

    def _prepare_paper(self):
        """The shop has texts of its own, and core would print its QR code for invoices."""
        self.main_pos_config.write({'receipt_header': "Optics since 1999", 'receipt_footer': "Come again"})
        self.main_pos_config.company_id.point_of_sale_use_ticket_qr_code = True

    def test_paper(self):
        self._prepare_paper()
        sale, exchange = self._run_tour('KktPaperTour')
        self.assertEqual((sale | exchange).mapped('nb_print'), [2, 0])
        self.assertEqual(exchange.kkt_receipt_ids.mapped('total'), [198, 528])

    @at_length
    def test_paper_without_a_document(self):
        self._prepare_paper()
        self.env['product.product'].search([('name', '=', "Desk Pad")]).taxes_id = self.env['account.tax'].create(
            {'name': "Riddle", 'amount': 21}
        )
        order = self._run_tour('KktUnbuiltTour')
        self.assertEqual(order.kkt_state, 'rejected')

    # -- reports on the shift ------------------------------------------------------------------------------------------

    def _get_closed_shifts(self):
        return self.env['kkt.shift'].search([('register_id', '=', self.register.id), ('closed_at', '!=', False)])

    def test_reports_on_the_shift(self):
        self.pos_admin.group_ids |= self.env.ref('account.group_account_invoice')  # may put cash in
        self._run_tour('KktShiftReportTour', user=self.pos_admin)
        self.assertEqual(len(self._get_closed_shifts()), 1)

    def test_reports_are_not_for_cashiers(self):
        self._run_tour('KktShiftReportCashierTour')
        shift = self._get_closed_shifts()
        self.assertEqual(len(shift), 1)
        with self.assertRaisesRegex(AccessError, "administrator of the point of sale"):
            shift.with_user(self.pos_user).get_till_slip()

    # -- the mail ------------------------------------------------------------------------------------------------------

    def test_the_mail_has_the_fiscal_paper(self):
        """Odoo sends a picture that the till makes: it is the paper, and its QR code can be read."""
        order = self._run_tour('KktMailTour')
        mail = self.env['mail.mail'].search([('email_to', '=', "buyer@example.com")])
        picture = mail.attachment_ids
        self.assertEqual(picture.mimetype, 'image/jpeg')
        image = Image.open(BytesIO(picture.raw))
        self.assertEqual(read_qr(image), order.kkt_receipt_ids.qr)

    @at_length
    def test_without_register(self):
        order = self._run_tour('KktWithoutRegisterTour', register=False)
        self.assertRecordValues(order, [{'state': 'paid', 'kkt_hlc': False, 'kkt_state': False}])
        self.assertFalse(order.kkt_receipt_ids)


@tagged('post_install', '-at_install')
class TestKktUnitJs(PatientBrowser, HttpCase):
    """Runs static/tests/unit, and nothing else, in Odoo's runner of JavaScript unit tests."""

    def test_unit(self):
        self.browser_js(
            f'/web/tests?headless&loglevel=2&preset=desktop&timeout=15000&id={hoot_id("@opterp_kkt_tests")}',
            "",
            "",
            login='admin',
            timeout=120,
            success_signal="[HOOT] Test suite succeeded",
        )


def hoot_id(name):
    """What the runner calls a suite of tests."""
    number = 0
    for char in name:
        number = (31 * number + ord(char)) & 0xFFFFFFFF
    return f'{number:08x}'
