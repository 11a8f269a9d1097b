from odoo import models
from odoo.exceptions import UserError

from .kkt_ofd_device import SAME


class KktRegister(models.Model):
    """What a register elsewhere says of itself is read from it, instead of being typed in."""

    _inherit = 'kkt.register'

    def action_read_device(self):
        """Ask the device for its serial number, drive and registration, and take over what differs. Commits.

        Nothing is taken over from a register of somebody else: whatever it sells is reported for them.
        """
        self.ensure_one()
        self.check_access('write')
        device = self.ofd_id._ask_device()
        if difference := self._get_inn_difference(device):
            return self._show_read('warning', difference)
        changed = {name: read for name, read in device._asdict().items() if name in SAME and read and read != self[name]}
        told = " ".join(self._describe_change(name, read) for name, read in changed.items())
        self.write(changed)
        self._learn_of_drive(device)
        return self._show_read('success', told or self.env._("Everything was right already."))

    def _show_read(self, kind, message):
        return {
            'type': 'ir.actions.client',
            'tag': 'display_notification',
            'params': {
                'type': kind,
                'title': self.env._("Read from the register"),
                'message': message,
                'sticky': True,
                'next': {'type': 'ir.actions.client', 'tag': 'soft_reload'},
            },
        }

    def _describe_change(self, name, read):
        return self.env._(
            "%(field)s: %(read)s instead of %(own)s.",
            field=self._fields[name].get_description(self.env)['string'],
            read=read,
            own=self[name] or self.env._("none"),
        )

    def _get_inn_difference(self, device):
        return device.inn not in (None, self.inn) and self.env._(
            "It is registered for INN %(inn)s, and %(company)s has %(own)s: what is sold here would be somebody else's. Nothing"
            " was taken over. Choose the right address, or correct the company's INN.",
            inn=device.inn,
            company=self.company_id.name,
            own=self.inn or self.env._("none"),
        )


class KktOfd(models.Model):
    """… also for a register that there is not yet."""

    _inherit = 'kkt.ofd'

    def action_new_register(self):
        """A register's form, filled with what the device says. Commits."""
        self.ensure_one()
        self.env['kkt.register'].check_access('create')
        device = self._ask_device()
        read = {name: told for name, told in device._asdict().items() if name in (*SAME, 'drive_valid_until') and told}
        values = {'name': self.name, 'driver': 'remote', 'ofd_id': self.id, **read}
        return {
            'type': 'ir.actions.act_window',
            'res_model': 'kkt.register',
            'view_mode': 'form',
            'views': [(False, 'form')],
            'context': {f'default_{name}': value for name, value in values.items()},
        }

    def _ask_device(self):
        """What answers there, as it describes itself. Commits."""
        answer = self._check_connection()
        if not answer.device:
            words = ". ".join(filter(None, [self._describe(answer), answer.message.strip(". ")]))
            raise UserError(self.env._("%s. It tells nothing of itself: type in what stands in its papers, or try again.", words))
        return answer.device
