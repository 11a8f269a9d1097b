import os
import signal

from odoo import api, models

from odoo.addons.opterp_kkt.delivery.guard import Guard
from odoo.addons.opterp_kkt.delivery.outcomes import Claim
from odoo.addons.opterp_kkt.delivery.worker import Worker

# The process that finds its point here takes the order off first, so that it is obeyed once.
TAKE_ORDER = "UPDATE ir_config_parameter SET value = %s WHERE key = 'opterp_kkt_tests.failpoint' AND value = %s RETURNING id"


class FailingWorker(Worker):
    """Failpoints of the proofs: the server kills itself, as a power cut would, at the point that the system parameter
    `opterp_kkt_tests.failpoint` names, and leaves there the key of the document that it was delivering.

        after_claim, before_send, after_answer, before_record, after_record
    """

    def _claim(self, ownership, queue, only_ask):
        claim = super()._claim(ownership, queue, only_ask)
        if claim:
            self._fail_at('after_claim', claim)
        return claim

    def _send(self, ownership, queue, claim, meanwhile):
        self._fail_at('before_send', claim)
        attempt = super()._send(ownership, queue, claim, meanwhile)
        self._fail_at('after_answer', claim)
        return attempt

    def _record(self, ownership, queue, claim, attempt, behind=None):
        self._fail_at('before_record', claim)
        seen = super()._record(ownership, queue, claim, attempt, behind)
        self._fail_at('after_record', claim)
        if seen.get('id'):
            self._fail_at('after_claim', Claim.from_row(seen))
        return seen

    def _claim_following(self, ownership, queue, behind):
        seen = super()._claim_following(ownership, queue, behind)
        if seen:
            self._fail_at('after_claim', seen.claim)
        return seen

    def _fail_at(self, point, claim):
        # On the deliverer's own connection: env.cr must stay without a transaction while it sends.
        if self.guard.execute(TAKE_ORDER, [claim.idempotency_key, point]):
            os.kill(os.getpid(), signal.SIGKILL)


class KktDelivery(models.Model):
    """Delivers with failpoints."""

    _inherit = 'kkt.delivery'

    @api.model
    def _open_worker(self, settings, news, at_once=False):
        return FailingWorker(settings, Guard(settings.dsn), news, at_once)
