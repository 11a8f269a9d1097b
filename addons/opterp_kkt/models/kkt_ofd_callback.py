from secrets import token_urlsafe

from odoo import api, fields, models
from odoo.tools import consteq

from ..transports import PROTOCOLS

KEPT_AS = 'callback_url'  # among the credentials: who knows it may make us ask
CALLING_BACK = [name for name, transport in PROTOCOLS.items() if transport.calls_back]
SHORTEST_PAUSE = 1.0  # s between two questions about a document, however often somebody calls

# What waits for a verdict there is asked about now, or that long after it was asked about last.
ASK_NOW = """
    UPDATE kkt_receipt r SET next_attempt_at = r.claimed_at + %(pause)s * interval '1 second'
      FROM kkt_register g
     WHERE g.id = r.register_id AND g.ofd_id = %(ofd)s AND r.state = 'pending' AND r.last_outcome = 'processing'
       AND r.next_attempt_at > r.claimed_at + %(pause)s * interval '1 second'
"""


class KktOfd(models.Model):
    """A service that calls back when it has done with a document, at an address of which a part is a secret.

    What it says there is not read: anybody may say anything. It makes us ask, as we do by ourselves from time to time.
    """

    _inherit = 'kkt.ofd'

    can_call_back = fields.Boolean(compute='_compute_can_call_back')
    calls_back = fields.Boolean(
        "Have It Call Back",
        compute='_compute_calls_back',
        inverse='_inverse_calls_back',
        groups='opterp_kkt.group_fiscal_admin',
        help="The service is given an address of this server, which it calls when it has done with a receipt. It needs a"
        " web.base.url that is reached from outside; without it, or where a call gets lost, the service is asked from time to"
        " time.",
    )

    @api.depends('protocol')
    def _compute_can_call_back(self):
        for ofd in self:
            ofd.can_call_back = PROTOCOLS[ofd.protocol].calls_back

    @api.depends('credentials')
    def _compute_calls_back(self):
        for ofd in self:
            ofd.calls_back = KEPT_AS in (ofd.sudo().credentials or {})

    def _inverse_calls_back(self):
        for ofd in self:
            others = {name: kept for name, kept in (ofd.sudo().credentials or {}).items() if name != KEPT_AS}
            ofd.sudo().credentials = {**others, **(ofd._make_address() if ofd.calls_back else {})}

    def _make_address(self):
        return {KEPT_AS: f"{self.get_base_url()}/kkt/callback/{token_urlsafe(24)}"}

    def _renew_address(self, vals):
        """Who answers at another address is given another secret."""
        return self.calls_back and PROTOCOLS[vals.get('protocol', self.protocol)].calls_back and self._make_address()

    @api.model
    def _hear_callback(self, secret):
        """Ask about what waits for the OFD whose secret that is. Return whether there is one."""
        called = self.browse()
        for ofd in self.sudo().search([('protocol', 'in', CALLING_BACK)]):
            known = (ofd.credentials or {}).get(KEPT_AS, '').rpartition('/')[2]
            if known and consteq(known.encode(), secret.encode()):
                called = ofd
        for ofd in called:
            self.env.cr.execute(ASK_NOW, {'ofd': ofd.id, 'pause': SHORTEST_PAUSE})
            if self.env.cr.rowcount:
                self.env['kkt.delivery'].sudo()._wake()
        return bool(called)
