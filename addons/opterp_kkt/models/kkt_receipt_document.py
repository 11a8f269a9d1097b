import json
from base64 import b64encode

import qrcode
from markupsafe import Markup
from qrcode.image.svg import SvgPathImage

from odoo import api, fields, models

from ..core import listing, text, tlv
from ..transports import PROTOCOLS


class KktReceipt(models.Model):
    """What a document says: as a table, as JSON and as the binary that a fiscal drive keeps; on paper: `kkt_receipt_paper.py`.

    The document is read from the payload, also of those of before, whose texts were not fitted to the format yet.
    """

    _inherit = 'kkt.receipt'

    qr_image_url = fields.Char("QR Code", compute='_compute_qr_image_url')
    document_table = fields.Html("Document Content", compute='_compute_document', sanitize=False)
    document_json = fields.Binary("As JSON", compute='_compute_document', attachment=False)
    document_tlv = fields.Binary("As TLV", compute='_compute_document', attachment=False)
    document_name = fields.Char(compute='_compute_document')
    document_tlv_name = fields.Char(compute='_compute_document')

    @api.depends('qr')
    def _compute_qr_image_url(self):
        for receipt in self:
            receipt.qr_image_url = receipt.qr and qr_image(receipt.qr)

    def _compute_document(self):
        for receipt in self:
            built = bool(receipt.payload)
            name = f"{receipt.fiscal_drive_number}-{receipt.fd_number}"
            receipt.document_table = built and receipt._get_table()
            receipt.document_json = built and b64encode(receipt._get_json().encode())
            receipt.document_tlv = built and b64encode(receipt._get_tlv())
            receipt.document_name, receipt.document_tlv_name = f"{name}.json", f"{name}.tlv"

    def _get_document(self):
        return PROTOCOLS[self.protocol].decode(self.payload).document

    def _get_json(self):
        return json.dumps(self._get_document(), ensure_ascii=False, indent=2)

    def _get_tlv(self):
        return tlv.encode(text.fit_texts(self._get_document()))

    def _get_listing(self):
        return list(listing.listing(text.fit_texts(self._get_document())))

    def _get_table(self):
        cell = Markup('<tr><td class="text-muted">%s</td><td style="padding-left: %sem">%s</td><td>%s</td></tr>')
        return Markup('<table class="table table-sm">%s</table>') % Markup().join(
            cell % (row.number, 0.5 + 2 * row.depth, row.title, row.value) for row in self._get_listing()
        )

    def _get_hex(self):
        """The bytes of the document, a line for each tag."""
        return "\n".join(
            f"{'  ' * row.depth}{row.number} {row.title}: {row.value}  {row.data.hex()}".rstrip() for row in self._get_listing()
        )


def qr_image(text, border=4):
    """A QR code as the URL of an image. Drawn as vectors: that needs no graphics library."""
    image = qrcode.make(text, image_factory=SvgPathImage, border=border)
    return f"data:image/svg+xml;base64,{b64encode(image.to_string()).decode()}"
