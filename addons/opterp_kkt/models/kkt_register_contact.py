from odoo import models

from ..core.contact import as_email, contact
from ..core.document_error import DocumentError


class KktRegister(models.Model):
    """Where a receipt is sent (tags 1008, 1117)."""

    _inherit = 'kkt.register'

    def _get_contact_values(self, email, phone):
        """The buyer's contact and the sender's address, by FNS JSON names. Neither stands there without a usable contact, unless
        the receiver wants somebody named on each receipt: then it is the shop itself.

        :raises DocumentError: the shop has no address for that
        """
        buyer, named = contact(email, phone), self._is_receiver('names_buyer')
        sender = (buyer or named) and as_email(self.company_id.email)
        if named and not sender:
            raise DocumentError('sender', company=self.company_id.name, ofd=self.sudo().ofd_id.name)
        buyer = buyer or (named and sender)
        return {
            **({'buyerPhoneOrAddress': buyer} if buyer else {}),
            **({'sellerAddress': sender} if sender else {}),
        }
