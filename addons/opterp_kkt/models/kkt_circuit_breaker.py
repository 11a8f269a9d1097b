from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..core import breaker as core
from ..delivery.breaker_row import COLUMNS, DECIDED, SETTINGS, UPDATE, from_row, to_parameters

STATES = [(core.CLOSED, "Closed"), (core.OPEN, "Open"), (core.HALF_OPEN, "Half-open")]
MODES = [(core.AUTOMATIC, "Automatic"), (core.FORCED_OPEN, "Forced open"), (core.DISABLED, "Disabled")]


class KktCircuitBreaker(models.Model):
    """The circuit breaker of an OFD: one state for all processes, in the database, by the database's clock.

    `core/breaker.py` decides (state in, state out); one `UPDATE … WHERE version = seen` applies what it decided, in a short
    transaction of the deliverer's own connection, with the event that people and charts read. Delivery takes its permit
    inside the statement that claims a document, and reports every outcome (`delivery/worker.py`).
    """

    _name = 'kkt.circuit.breaker'
    _description = "Circuit Breaker"
    _inherit = ['mail.thread', 'mail.activity.mixin']
    _allow_sudo_commands = False

    name = fields.Char(required=True)
    mode = fields.Selection(
        MODES,
        required=True,
        default='automatic',
        tracking=True,
        help="Forced open: nothing is sent. Disabled: everything is sent, failures are not counted.",
    )
    mode_reason = fields.Char(tracking=True, help="Why the breaker is not left to itself.")
    state = fields.Selection(STATES, required=True, default='closed', readonly=True, copy=False)
    condition = fields.Selection(
        STATES + MODES[1:], "State or Mode", compute='_compute_condition', help="Its mode, or its state while that is automatic."
    )
    failure_threshold = fields.Integer(default=5, required=True, help="Consecutive failures that open the breaker.")
    recovery_timeout = fields.Integer(default=60, required=True, help="Seconds that it stays open before a probe is let through.")
    success_threshold = fields.Integer(default=2, required=True, help="Successful probes that close it.")
    failure_count = fields.Integer(readonly=True, default=0, copy=False)
    success_count = fields.Integer(readonly=True, default=0, copy=False)
    opened_at = fields.Datetime(readonly=True, copy=False)
    retry_at = fields.Datetime(readonly=True, copy=False, help="When the next probe is let through.")
    probe_owner = fields.Char(readonly=True, copy=False, help="Who sends the one probe of a half-open breaker.")
    probe_until = fields.Datetime(readonly=True, copy=False, help="When the probe's permit expires.")
    version = fields.Integer(readonly=True, copy=False, default=0, help="Grows with every change of the state.")
    event_ids = fields.One2many('kkt.circuit.breaker.event', 'breaker_id', readonly=True)
    ofd_ids = fields.One2many('kkt.ofd', 'breaker_id', readonly=True)

    _thresholds = models.Constraint(
        'CHECK (failure_threshold > 0 AND recovery_timeout > 0 AND success_threshold > 0)',
        "The numbers of a circuit breaker must be positive.",
    )
    _open = models.Constraint("CHECK (state <> 'open' OR retry_at IS NOT NULL)", "An open breaker says when it is tried again.")
    _probe = models.Constraint(
        "CHECK (probe_owner IS NULL OR (state = 'half_open' AND probe_until IS NOT NULL))",
        "Only a half-open breaker has a probe, whose permit expires.",
    )

    @api.depends('mode', 'state')
    def _compute_condition(self):
        for breaker in self:
            breaker.condition = breaker.state if breaker.mode == 'automatic' else breaker.mode

    def write(self, vals):
        """A change of mode or of a number is a change of what decides: whoever holds an older version must read again."""
        if set(vals) & set(DECIDED) and not self.env.su:
            raise AccessError(self.env._("The state of a circuit breaker is decided, not written. Use its mode, or Reset."))
        if self and set(vals) & set(SETTINGS):
            self._touch()
            self._note_mode(vals.get('mode'))
            self._tell_tills()
            self.env['kkt.delivery']._wake()
        return super().write(vals)

    def _tell_tills(self):
        self.env['kkt.register'].sudo().search([('ofd_id.breaker_id', 'in', self.ids)])._tell_tills()

    def _touch(self):
        """Have whoever decides by what was read before read again."""
        self.env.cr.execute("UPDATE kkt_circuit_breaker SET version = version + 1 WHERE id = ANY(%s)", [self.ids])
        self.invalidate_recordset(['version'])

    def _note_mode(self, mode):
        changed = self.filtered(lambda breaker: mode and breaker.mode != mode)
        self.env['kkt.circuit.breaker.event'].sudo().create(
            [
                {
                    'breaker_id': breaker.id,
                    'from_state': breaker.state,
                    'to_state': breaker.state,
                    'reason': mode,
                    'actor': self.env.user.login,
                }
                for breaker in changed
            ]
        )

    def get_stats(self):
        """What a dashboard asks for, as plain values; times in ms since 1970, None where there is none."""
        self.ensure_one()
        self.check_access('read')
        return {
            'name': self.name,
            'mode': self.mode,
            'state': self.state,
            'failure_count': self.failure_count,
            'success_count': self.success_count,
            'failure_threshold': self.failure_threshold,
            'recovery_timeout': self.recovery_timeout,
            'success_threshold': self.success_threshold,
            'opened_at': _milliseconds(self.opened_at),
            'retry_at': _milliseconds(self.retry_at),
            'opened_count': self.env['kkt.circuit.breaker.event'].search_count(
                [('breaker_id', '=', self.id), ('to_state', '=', 'open'), ('from_state', '!=', 'open')]
            ),
        }

    def action_reset(self):
        """Close the breaker by hand: the next document is sent at once."""
        self.ofd_ids._check_may_operate()
        for breaker in self:
            if breaker.mode == 'forced_open':
                raise UserError(
                    self.env._(
                        "%(name)s is forced open: nothing is sent until its mode is set back to automatic.", name=breaker.name
                    )
                )
            breaker._reset()
        self._tell_tills()
        self.env['kkt.delivery']._forget_waits(self.ofd_ids)

    def _reset(self):
        self.env.cr.execute(f"SELECT {COLUMNS} FROM kkt_circuit_breaker b WHERE b.id = %s FOR UPDATE", [self.id])
        old = from_row(self.env.cr.dictfetchone())
        new = core.reset(old)
        if new is not old:
            parameters = to_parameters(old, new, self.env.user.login, "reset")
            self.env.cr.execute(UPDATE, {'breaker': self.id, **parameters})
            self.invalidate_recordset()


def _milliseconds(moment):
    return round(fields.Datetime.to_datetime(moment).timestamp() * 1000) if moment else None
