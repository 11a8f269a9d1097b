from types import SimpleNamespace

from odoo.addons.opterp_kkt.delivery import news
from odoo.addons.opterp_kkt.delivery.settings import Settings
from odoo.addons.opterp_kkt.delivery.worker import Worker
from odoo.addons.opterp_kkt.transports import Answer, Outcome

from .common import KktSaleCommon

ACCEPTED = Answer(Outcome.ACCEPTED, 200, server_time=1)
REFUSED = Answer(Outcome.REFUSED, 422, "bad_vat: no such rate")
CONFLICT = Answer(Outcome.REFUSED, 409, "conflict: other bytes", conflict=True)
FAILED = Answer(Outcome.UNKNOWN, 500, "HTTP 500")
ABSENT = Answer(Outcome.ABSENT, 404, "never seen")
PROCESSING = Answer(Outcome.PROCESSING, 202, retry_after=30.0)
BLOCKED = Answer(Outcome.MISCONFIGURED, 403, "HTTP 403, text/html")


class TestCursorGuard:
    """Runs a deliverer's statements in the test's own transaction, where the test's rows are; it guards nothing."""

    def __init__(self, cr):
        self._cr = cr

    def execute(self, sql, params=None):
        with self._cr.savepoint(flush=False):  # one that is refused undoes itself alone, as on the worker's own connection
            self._cr.execute(sql, params)
            return self._cr.dictfetchall() if self._cr.description else []

    run = execute


class Receiver:
    """An OFD that answers each document by `verdicts` (key: Answer), else accepts it, and knows what it accepted.

    What it takes time for is under way until it is told, by `finish`, that it is accepted.
    """

    def __init__(self):
        self.sent = []
        self.accepted = set()
        self.verdicts = {}

    is_register = False

    def send(self, document, _meanwhile=None):
        self.sent.append((document.idempotency_key, document.payload))
        answer = self.verdicts.get(document.idempotency_key, ACCEPTED)
        if answer is ACCEPTED:
            self.accepted.add(document.idempotency_key)
        return answer

    def finish(self, key):
        self.verdicts.pop(key)
        self.accepted.add(key)

    def lookup(self, document):
        if self.verdicts.get(document.idempotency_key) is PROCESSING:
            return PROCESSING
        return ACCEPTED if document.idempotency_key in self.accepted else ABSENT


class InProcess(Worker):
    """A worker in the test's own transaction, at the test's `receiver`; how often it has news for people is counted in `told`,
    and `changes` has what it tells tills."""

    def __init__(self, test):
        self.changes = []
        settings = Settings(dsn={}, redis_url='', lease_prefix='', poison_tries=3)
        super().__init__(settings, TestCursorGuard(test.env.cr), news.News(self._count_told, self.changes.append), at_once=True)
        self._sender.get_transport = lambda _queue: test.receiver
        self.told = 0

    def try_once(self, register, only_ask=False):
        """What a delivery run does with the head of a register's queue, once."""
        news._told_at.clear()  # nothing waits for its second: what a test hears does not depend on how fast it is
        for queue in self.scan(register.ids):
            if only_ask or not queue.held:
                self._deliver_next(self._own(register), queue, only_ask=only_ask)
        self.news.publish()

    def _own(self, register):
        return SimpleNamespace(register_id=register.id, name='test', epoch=register.delivery_epoch, keep=bool, lasts=bool)

    def _count_told(self):
        self.told += 1


class DeliveryCommon(KktSaleCommon):
    """`_deliver` tries the head of a register's queue once, as a delivery run does, at an OFD in this process."""

    def setUp(self):
        super().setUp()
        self.receiver = Receiver()
        self.worker = InProcess(self)
        self._deliver()  # the report on the shift that the session has opened
        self.receiver.sent.clear()
        self.worker.changes.clear()

    def _sell_receipt(self):
        return self._sell([(self.frame, 1)]).kkt_receipt_ids

    def _deliver(self, register=None, count=1):
        register = register or self.register
        self.env.flush_all()
        for _number in range(count):
            self.worker.try_once(register)
        self.env.invalidate_all()
