from odoo import fields, models

from .kkt_circuit_breaker import STATES

REASONS = [  # those of core/breaker.py, and what a person does
    ('failures', "Failures in a row"),
    ('recovery_timeout', "Time for a probe"),
    ('probe_failed', "Probe failed"),
    ('probes_succeeded', "Probes succeeded"),
    ('reset', "Reset by hand"),
    ('automatic', "Mode set to automatic"),
    ('forced_open', "Mode set to forced open"),
    ('disabled', "Mode set to disabled"),
]


class KktCircuitBreakerEvent(models.Model):
    """One row per transition of a circuit breaker, written with it."""

    _name = 'kkt.circuit.breaker.event'
    _description = "Circuit Breaker Event"
    _order = 'id DESC'
    _log_access = False

    breaker_id = fields.Many2one('kkt.circuit.breaker', required=True, ondelete='cascade', index=True, readonly=True)
    happened_at = fields.Datetime(required=True, readonly=True, default=fields.Datetime.now)
    from_state = fields.Selection(STATES, readonly=True)
    to_state = fields.Selection(STATES, readonly=True)
    reason = fields.Selection(REASONS, readonly=True)
    actor = fields.Char(readonly=True, help="The deliverer or the person that caused it.")
