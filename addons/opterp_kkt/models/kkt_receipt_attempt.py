from odoo import fields, models

from ..transports import Outcome
from .big_integer import BigInteger

LABELS = {
    Outcome.ACCEPTED: "Accepted",
    Outcome.PROCESSING: "In progress",
    Outcome.REFUSED: "Refused",
    Outcome.MISCONFIGURED: "Misconfigured",
    Outcome.THROTTLED: "Throttled",
    Outcome.UNAVAILABLE: "Unavailable",
    Outcome.UNABLE: "Register unable",
    Outcome.UNKNOWN: "Outcome unknown",
    Outcome.ABSENT: "Absent: not sent again",
}
OUTCOMES = [(outcome.value, LABELS[outcome]) for outcome in Outcome]


class KktReceiptAttempt(models.Model):
    """One try to deliver a document: each that was not accepted at once, and the one that ended the matter."""

    _name = 'kkt.receipt.attempt'
    _description = "Delivery Attempt"
    _order = 'id DESC'
    _log_access = False

    receipt_id = fields.Many2one('kkt.receipt', required=True, ondelete='cascade', index=True, readonly=True)
    happened_at = fields.Datetime(required=True, readonly=True)
    outcome = fields.Selection(OUTCOMES, required=True, readonly=True)
    looked_up = fields.Boolean(readonly=True, help="The OFD was asked first whether it has the document.")
    http_status = fields.Integer("HTTP Status", readonly=True)
    message = fields.Text("The OFD's Words", readonly=True)
    duration = fields.Float("Duration (s)", digits=(10, 3), readonly=True)
    holder = fields.Char("Delivered by", readonly=True)
    epoch = BigInteger(readonly=True)
