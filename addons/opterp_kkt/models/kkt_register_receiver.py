from odoo import api, models
from odoo.exceptions import ValidationError

from ..transports import PROTOCOLS


class KktRegister(models.Model):
    """Who receives its documents: who may, and what a receiver that is a register itself does, or asks of each document."""

    _inherit = 'kkt.register'

    @api.constrains('driver', 'ofd_id')
    def _check_receiver(self):
        """Test receipts are no business of a real register."""
        for register in self:
            if register.driver == 'emulator' and register.ofd_id._is_register():
                raise ValidationError(
                    self.env._(
                        "%(ofd)s is a real cash register, so %(register)s can't be an emulated one: its test receipts would be"
                        " fiscalised. Choose another driver for it first.",
                        ofd=register.ofd_id.name,
                        register=register.name,
                    )
                )

    def _is_receiver(self, trait):
        """Whether a register elsewhere receives these documents that has this trait (see `transports/base.py`)."""
        return self.driver != 'emulator' and getattr(PROTOCOLS[self.sudo().ofd_id.protocol], trait)
