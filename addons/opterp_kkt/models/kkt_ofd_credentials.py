import re

from lxml.builder import E

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import NO_ACCESS

from ..transports import PROTOCOLS
from .kkt_ofd import ADDRESS


def credential_field(credential):
    """A field to type a credential into, which is kept in `credentials`. What is secret is not shown again, to nobody."""
    name = credential.name

    def show(ofds):
        for ofd in ofds:
            ofd[name] = not credential.secret and (ofd.sudo().credentials or {}).get(name)

    def keep(ofds):
        for ofd in ofds:
            if ofd[name] or not credential.secret:
                ofd._keep_credential(credential, ofd[name])
        ofds.invalidate_recordset([name], flush=False)  # nor is it shown to who has just typed it

    return fields.Char(
        credential.label,
        compute=show,
        inverse=keep,
        copy=False,
        groups='opterp_kkt.group_fiscal_admin',
        help="Lets us in at the OFD. It can be replaced, never read." if credential.secret else "Lets us in at the OFD.",
    )


class KktOfd(models.Model):
    """What lets us in at an OFD: each protocol declares its credentials (`transports/base.py`), and each is a field of its own.

    They were given for one address: another address forgets them. Delivery alone reads `credentials`.
    """

    _inherit = 'kkt.ofd'

    credentials = fields.Json(groups=NO_ACCESS, copy=False)
    credentials_set = fields.Char("Credentials That Are Set", compute='_compute_credentials_set', compute_sudo=True)
    vars().update(
        {credential.name: credential_field(credential) for each in PROTOCOLS.values() for credential in each.credentials}
    )

    @api.depends('credentials')
    @api.depends_context('lang')
    def _compute_credentials_set(self):
        for ofd in self:
            ofd.credentials_set = ", ".join(ofd._describe_credentials(ofd.credentials or {}))

    @api.model
    def _get_view(self, view_id=None, view_type='form', **options):
        # EXTENDS 'base': the form has a field for each credential of the protocol that is chosen
        arch, view = super()._get_view(view_id, view_type, **options)
        for place in arch.xpath("//field[@name='credentials_set']") if view_type == 'form' else ():
            for name in reversed(self._get_credential_names()):
                place.addnext(
                    E.field(
                        name=name,
                        placeholder=self.env._("Type it in to set or replace it"),
                        password=str(self._is_secret(name)),
                        invisible=f"protocol not in {self._get_protocols_with(name)}",
                    )
                )
        return arch, view

    @api.model
    def _get_credential_names(self):
        return list(dict.fromkeys(credential.name for each in PROTOCOLS.values() for credential in each.credentials))

    @api.model
    def _get_protocols_with(self, name):
        return [key for key, each in PROTOCOLS.items() if any(credential.name == name for credential in each.credentials)]

    @api.model
    def _is_secret(self, name):
        return any(each.secret for transport in PROTOCOLS.values() for each in transport.credentials if each.name == name)

    def _describe_credentials(self, names):
        """The labels of credentials, in the order in which their protocols declare them."""
        return [self._fields[name]._description_string(self.env) for name in self._get_credential_names() if name in names]

    def _keep_credential(self, credential, value):
        if value and credential.in_header and not re.fullmatch('[!-~]+', value):
            raise ValidationError(
                self.env._(
                    "%(credential)s has Latin letters, digits and signs only, no spaces and no line breaks. Please copy it"
                    " again.",
                    credential=", ".join(self._describe_credentials([credential.name])),
                )
            )
        others = {name: kept for name, kept in (self.sudo().credentials or {}).items() if name != credential.name}
        self.sudo().credentials = {**others, credential.name: value} if value else others

    def _forget_credentials(self, vals):
        """They were given for another address: whoever answers at this one is not to learn them, but what is typed in anew."""
        given = self.sudo().credentials or {}
        forgotten = [name for name in self._get_credential_names() if name in given and not vals.get(name)]
        self.sudo().credentials = self._renew_address(vals)
        if forgotten:
            self.message_post(
                body=self.env._(
                    "The address was changed, so these credentials were forgotten: %s. Type them in again, if they belong to"
                    " the new address.",
                    ", ".join(self._describe_credentials(forgotten)),
                )
            )

    @api.onchange(*ADDRESS)
    def _onchange_address(self):
        earlier = self._origin
        typed = any(self[name] for name in self._get_credential_names() if self._is_secret(name))
        if earlier.credentials_set and not typed and any(earlier[name] != self[name] for name in ADDRESS):
            return {
                'warning': {
                    'type': 'notification',
                    'title': self.env._("The credentials belong to the earlier address"),
                    'message': self.env._(
                        "Saving another address forgets them. Type them in again, if they belong to the new one."
                    ),
                }
            }
