from odoo import fields, models


class KktRegister(models.Model):
    """How long a fiscal drive lasts, as its passport or the register itself tells: people hear of its end in time."""

    _inherit = 'kkt.register'

    drive_valid_until = fields.Date(
        "Fiscal Drive Valid Until", tracking=True, help="A register on the counter tells it when its connection is tested."
    )
    drive_capacity = fields.Integer(
        "Documents the Drive Holds", help="As its passport says. With it, people are told before the drive is full."
    )

    def write(self, vals):
        """Another drive ends on another day."""
        changed = self._get_changed('fiscal_drive_number', vals) if 'fiscal_drive_number' in vals else self.browse()
        result = super().write(vals)
        forgotten = {name: False for name in ('drive_valid_until', 'drive_capacity') if name not in vals}
        if changed and forgotten:
            changed.write(forgotten)
        return result

    def _learn_of_drive(self, device):
        """What answered to a test has said when its drive ends."""
        until = device.drive_valid_until and fields.Date.to_date(device.drive_valid_until)
        for register in self.filtered(lambda register: register.fiscal_drive_number == device.fiscal_drive_number):
            if until and register.drive_valid_until != until:
                register.drive_valid_until = until
