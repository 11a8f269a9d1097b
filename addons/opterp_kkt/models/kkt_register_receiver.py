from odoo import api, models
from odoo.exceptions import ValidationError


class KktRegister(models.Model):
    """Who may receive its documents."""

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
