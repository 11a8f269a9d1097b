from datetime import timedelta
from uuid import uuid4

from odoo import api, fields, models

from ..transports import Outcome
from .big_integer import BigInteger

STATES = [('waiting', "Waiting"), ('done', "Done"), ('refused', "Refused")]
PATIENCE = 60  # s until a register that did not do it is asked again


class KktCashMove(models.Model):
    """Cash that was put into a till or taken out: the register on its counter prints a slip of it, and counts its drawer.

        pos.session ──> waiting ──cron──> done
                                  └────> refused: its drawer counts otherwise than the till, which its page says

    No document comes of it, so it stands in no queue. What a register has to do is done in turn, each move under a uuid that the
    register takes once: where the answer is lost, the same is asked for again. It gets another uuid where the register has said
    that nothing was done, as without paper.
    """

    _name = 'kkt.cash.move'
    _description = "Cash Put In or Taken Out"
    _order = 'id DESC'

    register_id = fields.Many2one('kkt.register', required=True, readonly=True, index=True, ondelete='restrict')
    company_id = fields.Many2one(related='register_id.company_id')
    currency_id = fields.Many2one(related='company_id.currency_id')
    session_id = fields.Many2one('pos.session', required=True, readonly=True, index=True, ondelete='cascade')
    amount = BigInteger("Kopecks", required=True, readonly=True)
    amount_total = fields.Monetary("Amount", compute='_compute_amount_total', help="What was taken out is below zero.")
    cashier = fields.Char(readonly=True)
    uuid = fields.Char("Key", required=True, readonly=True, copy=False, default=lambda self: str(uuid4()))
    state = fields.Selection(STATES, required=True, readonly=True, default='waiting')
    last_error = fields.Text(readonly=True)

    _uuid_uniq = models.Constraint('unique (uuid)', "There is a cash move with this key already.")
    _amount_moved = models.Constraint('CHECK (amount <> 0)', "No cash was moved.")
    _waiting_idx = models.Index("(register_id, id) WHERE state = 'waiting'")

    @api.depends('amount')
    def _compute_amount_total(self):
        for move in self:
            move.amount_total = move.amount / 100

    @api.model
    def _enter(self, register, session, amount, cashier):
        """Have it done once this transaction is committed, by a register that does such things."""
        kopecks = round(amount * 100)
        if kopecks and register._takes_command('cash_in'):
            self.create({'register_id': register.id, 'session_id': session.id, 'amount': kopecks, 'cashier': cashier})
            self.env.ref('opterp_kkt.ir_cron_cash_moves')._trigger()

    @api.model
    def _cron_do(self):
        """Have each register do what it has not yet, one after another; one that can't is left for a while."""
        for moves in self.search([('state', '=', 'waiting')], order='id').grouped('register_id').values():
            if not all(move._do() for move in moves):
                later = fields.Datetime.now() + timedelta(seconds=PATIENCE)
                self.env.ref('opterp_kkt.ir_cron_cash_moves')._trigger(later)

    def _do(self):
        """In transactions of its own. Return whether the next one may follow."""
        name = 'cash_in' if self.amount > 0 else 'cash_out'
        answer = self.register_id._command(name, self.uuid, cashier=self.cashier or "", kopecks=abs(self.amount))
        state = {Outcome.ACCEPTED: 'done', Outcome.REFUSED: 'refused'}.get(answer.outcome, 'waiting')
        self.write({'state': state, 'last_error': answer.message or False})
        if answer.outcome is Outcome.UNABLE:
            self.uuid = str(uuid4())
        if state == 'refused':
            self._complain(answer.message)
        self.env.cr.commit()  # this one is settled, whatever comes of the next  # pylint: disable=invalid-commit
        return state != 'waiting'

    def _complain(self, words):
        self.register_id.message_post(
            body=self.env._(
                "The register did not take %(amount)s of cash: %(words)s. Its drawer counts otherwise than the till from now on.",
                amount=f"{self.amount_total:+.2f}",
                words=words,
            )
        )
