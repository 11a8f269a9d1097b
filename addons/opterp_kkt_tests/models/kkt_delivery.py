import os
import signal

from odoo import api, models

# The process that finds its point here takes the order off first, so that it is obeyed once.
TAKE_ORDER = "UPDATE ir_config_parameter SET value = %s WHERE key = 'opterp_kkt_tests.failpoint' AND value = %s RETURNING id"


class KktDelivery(models.Model):
    """Failpoints of the proofs: the server kills itself, as a power cut would, at the point that the system parameter
    `opterp_kkt_tests.failpoint` names, and leaves there the key of the document that it was delivering.

        after_claim, before_send, after_answer, before_record, after_record
    """
    _inherit = 'kkt.delivery'

    @api.model
    def _claim(self, run, hold, row):
        claim = super()._claim(run, hold, row)
        if claim:
            _fail_at('after_claim', hold, claim)
        return claim

    @api.model
    def _send(self, run, hold, row, claim):
        _fail_at('before_send', hold, claim)
        answer = super()._send(run, hold, row, claim)
        _fail_at('after_answer', hold, claim)
        return answer

    @api.model
    def _record(self, run, hold, row, claim, answer, looked_up):
        _fail_at('before_record', hold, claim)
        breaker = super()._record(run, hold, row, claim, answer, looked_up)
        _fail_at('after_record', hold, claim)
        return breaker


def _fail_at(point, hold, claim):
    # On the deliverer's own connection: env.cr must stay without a transaction while it sends.
    if hold.guard.execute(TAKE_ORDER, [claim.idempotency_key, point]):
        os.kill(os.getpid(), signal.SIGKILL)
