from odoo import models

from ..core.contact import as_email, contact


class KktRegister(models.Model):
    """Where a receipt is sent (tags 1008, 1117)."""

    _inherit = 'kkt.register'

    def _get_contact_values(self, email, phone):
        """The buyer's contact and the sender's address, by FNS JSON names. Neither stands there without a usable contact."""
        buyer = contact(email, phone)
        sender = buyer and as_email(self.company_id.email)
        return {
            **({'buyerPhoneOrAddress': buyer} if buyer else {}),
            **({'sellerAddress': sender} if sender else {}),
        }
