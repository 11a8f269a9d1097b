import logging
from calendar import timegm

from markupsafe import Markup

from odoo import fields, models

from ..core import paper
from ..core.qr import moment_of
from .kkt_receipt_document import qr_image

_logger = logging.getLogger(__name__)

SLIP = Markup('<div class="o_kkt_slip o_kkt_%smm">%s</div>')
TEXT = Markup('<div class="o_kkt_line %s"><span>%s</span><span>%s</span></div>')
QR = Markup('<div class="o_kkt_line qr"><img class="o_kkt_qr" alt="QR" src="%s"/></div>')
HEIGHTS = {'rule': 3, 'qr': 32}  # mm, as in kkt_paper.scss
LINE_HEIGHT, MARGINS = 4.5, 12


class KktReceipt(models.Model):
    """A document on paper (`core/paper.py`): for the till, for printing from here, and to look at.

    The till and the printed page count what was printed, each for itself: only the first print of a document is no copy.
    """

    _inherit = 'kkt.receipt'

    document_paper = fields.Html("As Paper", compute='_compute_document_paper', sanitize=False)
    print_count = fields.Integer("Prints", readonly=True, copy=False, help="How often it was printed from here, not by the till.")

    def _compute_document_paper(self):
        for receipt in self:
            paper_width = receipt.register_id.paper_width
            receipt.document_paper = as_slip(receipt._get_paper(paper_width), paper_width)

    def _get_paper(self, paper_width, is_copy=False):
        """The lines of the document, or of what there is instead of it."""
        width = paper.WIDTHS[paper_width]
        operation_type = int(self.operation_type or 0)
        if not self.fd_number:
            kind = 'waiting' if self.state != 'rejected' else 'handled' if self.handled_at else 'unbuilt'
            return paper.notice(kind, width, operation_type)
        refused = paper.notice('refused', width) if self.state == 'rejected' else []
        return [*refused, *paper.render(self._get_signed_document(), width, is_copy, self.qr or "")]

    def _get_signed_document(self):
        """The document; of a register elsewhere, which got it without, with what its answer has brought."""
        document = self._get_document()
        if 'fiscalSign' in document:
            return document
        moment = moment_of(self.qr or "") or self.register_id._get_local_time(self.hlc_local_time)
        return {
            **document,
            'dateTime': timegm(moment.timetuple()),
            'shiftNumber': self.shift_number,
            **({'requestNumber': self.receipt_number} if self.receipt_number else {}),
            'fiscalDriveNumber': self.fiscal_drive_number,
            'fiscalDocumentNumber': self.fd_number,
            'fiscalSign': self.fiscal_sign,
        }

    def _get_paper_text(self):
        paper_width = self.register_id.paper_width
        return paper.as_text(self._get_paper(paper_width), paper.WIDTHS[paper_width])

    def _get_printed_values(self):
        """What the till needs of the document: its paper, with a line that only copies show. Sent with every sale: kept short.

        A paper that can't be made is no reason to refuse a sale.
        """
        stamp = {'local_time': self.hlc_local_time, 'logical_counter': self.hlc_logical_counter, 'node': self.hlc_node}
        paper_width = self.register_id.paper_width
        return {
            'operation_type': self.operation_type,
            'fd_number': self.fd_number,
            'paper_width': paper_width,
            'lines': self._get_printed_lines(paper_width),
            **({'hlc': stamp} if self.hlc_node else {}),
            **({'is_copy': True} if self.print_count or self._is_printed_by_register() else {}),
        }

    def _get_printed_lines(self, paper_width):
        try:
            return [short(line) for line in self._get_paper(paper_width, is_copy=True)]
        except Exception:
            _logger.exception("The paper of %s could not be made", self.display_name)
            return []

    def _get_draft_slip(self, body, register):
        """A document that is still to be signed, to look at."""
        paper_width = register.paper_width
        unsigned = {**body, 'fiscalDriveNumber': register.fiscal_drive_number}
        return as_slip(paper.render(unsigned, paper.WIDTHS[paper_width]), paper_width)

    # -- printing from here ------------------------------------------------------------------------------------------------

    def action_print_80(self):
        return self._open_paper('80')

    def action_print_58(self):
        return self._open_paper('58')

    def _open_paper(self, paper_width):
        """A page that opens the browser's print dialog. The press is what counts: a page may be loaded again."""
        self.check_access('read')
        for receipt in self.sudo().filtered('fd_number'):
            receipt.print_count += 1
        numbers = ",".join(map(str, self.ids))
        return {
            'type': 'ir.actions.act_url',
            'target': 'new',
            'url': f'/report/html/opterp_kkt.report_kkt_receipt_{paper_width}/{numbers}',
        }

    def _get_sheet(self, paper_width):
        """For the printed page: one sheet, as long as its lines need."""
        is_copy = self.print_count > 1 or self.pos_order_id.sudo().nb_print > 0 or self._is_printed_by_register()
        lines = [*self._get_paper(paper_width, is_copy), *self._get_reference(paper_width)]
        return {'height': get_height(lines), 'slip': as_slip(lines, paper_width)}

    def _get_reference(self, paper_width):
        """What is printed below the document and is no part of it."""
        shift = self.shift_id
        return shift._get_reference(paper_width, shift.other_rates) if self.document_type == 'shift_close' else []


def get_height(lines):
    """Of a sheet, in mm."""
    return MARGINS + sum(HEIGHTS.get(line.style, LINE_HEIGHT) for line in lines)


def short(line):
    """A line without the empty ends that most have."""
    return list(line) if line.style else list(line[:2]) if line.right else [line.text]


def as_slip(lines, paper_width):
    return SLIP % (
        paper_width,
        Markup().join(
            QR % qr_image(line.text, border=0) if line.style == 'qr' else TEXT % (line.style, line.text, line.right)
            for line in lines
        ),
    )
