from odoo import api, fields, models

from ..transports import PROTOCOLS

SAME = ('fiscal_drive_number', 'registration_number', 'serial_number')  # what a register says of itself, and we of it


class KktOfd(models.Model):
    """Where the protocol is a register's own, what answers there describes itself, and serves one register of ours."""

    _inherit = 'kkt.ofd'

    is_register = fields.Boolean(compute='_compute_is_register')

    @api.depends('protocol')
    def _compute_is_register(self):
        for ofd in self:
            ofd.is_register = ofd._is_register()

    @api.constrains('protocol')
    def _check_receiver_of_registers(self):
        self.sudo().register_ids._check_receiver()

    def _is_register(self):
        return PROTOCOLS[self.protocol].is_register

    def _describe_device(self, device):
        """What answers to a test, and in what it differs from what was typed in here."""
        days = device.drive_valid_until and (fields.Date.to_date(device.drive_valid_until) - fields.Date.context_today(self)).days
        unknown = self.env._("not told")
        told = self.env._(
            "%(model)s, firmware %(firmware)s, serial number %(serial)s. Fiscal drive %(drive)s, days left: %(days)s. Registered"
            " as %(registration)s for INN %(inn)s. Shift: %(shift)s.",
            model=device.model or unknown,
            firmware=device.firmware or unknown,
            serial=device.serial_number or unknown,
            drive=device.fiscal_drive_number or unknown,
            days=unknown if days is None else days,
            registration=device.registration_number or unknown,
            inn=device.inn or unknown,
            shift=self._describe_shift(device) or unknown,
        )
        return " ".join([told, *self._find_differences(device)])

    def _describe_shift(self, device):
        states = {
            'opened': self.env._("%s, open", device.shift_number),
            'closed': self.env._("%s, closed", device.shift_number),
            'expired': self.env._("%s, open for more than 24 hours", device.shift_number),
        }
        return states.get(device.shift_state)

    def _find_differences(self, device):
        for register in self.register_ids:
            for name in SAME:
                stated = getattr(device, name)
                if stated and stated != register[name]:
                    yield self.env._(
                        "%(field)s of %(register)s is %(own)s here: correct it, or choose the right address.",
                        field=register._fields[name].get_description(self.env)['string'],
                        register=register.name,
                        own=register[name],
                    )
