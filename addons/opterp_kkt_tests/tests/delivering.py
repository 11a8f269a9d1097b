from types import SimpleNamespace

from odoo.addons.opterp_kkt.models.kkt_delivery import NUMBERS, Run
from odoo.addons.opterp_kkt.transports import Answer, Outcome

from .common import KktSaleCommon

ACCEPTED = Answer(Outcome.ACCEPTED, 200, server_time=1)
REFUSED = Answer(Outcome.REFUSED, 422, "bad_vat: no such rate")
CONFLICT = Answer(Outcome.REFUSED, 409, "conflict: other bytes", conflict=True)
FAILED = Answer(Outcome.UNKNOWN, 500, "HTTP 500")
ABSENT = Answer(Outcome.ABSENT, 404, "never seen")


class TestCursorGuard:
    """Runs a deliverer's statements in the test's own transaction, where the test's rows are; it guards nothing."""

    def __init__(self, cr):
        self._cr = cr

    def execute(self, sql, params=None):
        self._cr.execute(sql, params)
        return self._cr.dictfetchall() if self._cr.description else []

    run = execute


class Operator:
    """An OFD that answers each document by `verdicts` (key: Answer), else accepts it, and knows what it accepted."""

    def __init__(self):
        self.sent = []
        self.accepted = set()
        self.verdicts = {}

    def send(self, document):
        self.sent.append((document.idempotency_key, document.payload))
        answer = self.verdicts.get(document.idempotency_key, ACCEPTED)
        if answer is ACCEPTED:
            self.accepted.add(document.idempotency_key)
        return answer

    def lookup(self, idempotency_key):
        return ACCEPTED if idempotency_key in self.accepted else ABSENT


class DeliveryCommon(KktSaleCommon):
    """`_deliver` tries the head of a register's queue once, as a delivery run does, at an operator in this process."""

    def setUp(self):
        super().setUp()
        self.operator = Operator()
        self.run_ = Run(
            guard=TestCursorGuard(self.env.cr), redis=None, numbers={**NUMBERS, 'poison_tries': 3}, lease_prefix='',
            holder='test', at_once=True)
        self.run_.get_transport = lambda row: self.operator

    def _sell_receipt(self):
        return self._sell([(self.frame, 1)]).kkt_receipt_ids

    def _deliver(self, register=None, count=1):
        register = register or self.register
        self.env.flush_all()
        for _number in range(count):
            for row in self.env['kkt.delivery']._scan(self.run_, register.ids):
                self.env['kkt.delivery']._deliver_next(self.run_, self._hold(register), row)
        self.env.invalidate_all()

    def _hold(self, register):
        return SimpleNamespace(
            guard=self.run_.guard, register_id=register.id, holder='test', epoch=register.delivery_epoch,
            keep=lambda seconds: None)
