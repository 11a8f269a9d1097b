import json

from odoo import fields, models

from odoo.addons.opterp_kkt.core.ffd import to_text
from odoo.addons.opterp_kkt.core.hlc import Timestamp
from odoo.addons.opterp_kkt.models.kkt_ofd_credentials import credential_field
from odoo.addons.opterp_kkt.transports import PROTOCOLS, Contents, Credential


class Parcel:
    """Another protocol, of tests alone: with an envelope and credentials of its own."""

    label = "Parcel (tests only)"
    schemes = ("http://",)
    is_register = False
    keeps_shifts = False
    names_buyer = False
    commands = ()
    calls_back = False
    credentials = (Credential('login', "Login", secret=False), Credential('password', "Password"))

    @staticmethod
    def encode(contents):
        return "parcel " + to_text({**contents.__dict__, 'hlc': [*contents.hlc]})

    @staticmethod
    def decode(payload):
        said = json.loads(payload.removeprefix("parcel "))
        return Contents(**{**said, 'hlc': Timestamp(*said['hlc'])})


PROTOCOLS['parcel'] = Parcel


class KktOfd(models.Model):
    """What the product does for each of its own protocols."""

    _inherit = 'kkt.ofd'

    protocol = fields.Selection(selection_add=[('parcel', Parcel.label)], ondelete={'parcel': 'cascade'})
    vars().update({credential.name: credential_field(credential) for credential in Parcel.credentials})


class KktReceipt(models.Model):
    _inherit = 'kkt.receipt'

    protocol = fields.Selection(selection_add=[('parcel', Parcel.label)])
