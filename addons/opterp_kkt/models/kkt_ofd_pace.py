from odoo import api, fields, models

from ..delivery.locks import PERMITS


class KktOfd(models.Model):
    """What an OFD takes at most, of all servers together. How that is kept to: `delivery/pace.py`."""

    _inherit = 'kkt.ofd'

    requests_per_second = fields.Float(
        tracking=True, digits=(8, 2), help="How many the OFD takes, of all servers together; 0: as many as there are."
    )
    parallel_requests = fields.Integer(
        "Requests at Once", tracking=True, help="How many may be under way, of all servers together; 0: as many as there are."
    )

    _limits = models.Constraint(
        f"CHECK (requests_per_second >= 0 AND parallel_requests BETWEEN 0 AND {PERMITS - 1})",
        f"An OFD's limits are not negative; of requests at once {PERMITS - 1} can be counted.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        ofds = super().create(vals_list)
        self.env['kkt.ofd.pace'].sudo().create([{'ofd_id': ofd.id} for ofd in ofds])
        return ofds


class KktOfdPace(models.Model):
    """When the next request may go to an OFD. Deliverers alone write it, so that no form of an administrator is in their way."""

    _name = 'kkt.ofd.pace'
    _description = "Pace of Requests to an OFD"
    _log_access = False

    ofd_id = fields.Many2one('kkt.ofd', required=True, readonly=True, ondelete='cascade')
    next_start = fields.Float(readonly=True, required=True, default=0.0, help="Seconds since 1970, by PostgreSQL's clock.")

    _ofd_uniq = models.Constraint('unique (ofd_id)', "An OFD has one pace.")

    def init(self):
        """OFDs of before get theirs."""
        self.env.cr.execute("INSERT INTO kkt_ofd_pace (ofd_id, next_start) SELECT id, 0 FROM kkt_ofd ON CONFLICT DO NOTHING")
