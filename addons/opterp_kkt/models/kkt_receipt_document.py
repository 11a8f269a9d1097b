import json
from base64 import b64encode

import qrcode
from markupsafe import Markup
from qrcode.image.svg import SvgPathImage

from odoo import api, fields, models

from ..core import listing, text, tlv
from ..transports import PROTOCOLS


class KktReceipt(models.Model):
    """What a document says: as a table, as JSON, as the binary that a fiscal drive keeps, and on the buyer's copy.

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
            receipt.qr_image_url = receipt.qr and _qr_image(receipt.qr)

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
            cell % (row.number, 0.5 + 2 * row.depth, row.title, row.value) for row in self._get_listing())

    def _get_hex(self):
        """The bytes of the document, a line for each tag."""
        return "\n".join(
            f"{'  ' * row.depth}{row.number} {row.title}: {row.value}  {row.data.hex()}".rstrip() for row in self._get_listing())

    def _get_printed_values(self):
        """What the buyer's copy shows, for the till."""
        return {
            'operation_type': self.operation_type,
            'fiscal_drive_number': self.fiscal_drive_number,
            'fd_number': self.fd_number,
            'fiscal_sign': self.fiscal_sign,
            'registration_number': self.register_id.registration_number,
            'qr': self.qr,
            'is_test': self.register_id.driver == 'emulator',
            'hlc': {
                'local_time': self.hlc_local_time, 'logical_counter': self.hlc_logical_counter, 'node': self.hlc_node},
        }


def _qr_image(text):
    """A QR code as the URL of an image. Drawn as vectors: that needs no graphics library."""
    image = qrcode.make(text, image_factory=SvgPathImage)
    return f"data:image/svg+xml;base64,{b64encode(image.to_string()).decode()}"
