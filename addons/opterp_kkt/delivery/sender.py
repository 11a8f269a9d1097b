"""The network's part of an attempt: a document out, and what its receiver said."""

from collections.abc import Callable
from time import sleep

from ..transports import Document, Endpoint, EnvelopeError, Outcome, Transport, open_transport, translate
from . import statements
from .guard import Guard
from .outcomes import Attempt, Claim, may_send, must_ask
from .ownership import Fenced, Ownership
from .pace import LONGEST_WAIT, Pace
from .queue import Queue
from .settings import Settings
from .verification import unwritable


class Sender:
    """Sends what a worker has claimed, over one transport for each OFD."""

    def __init__(self, settings: Settings, guard: Guard, pace: Pace):
        self._settings = settings
        self._guard = guard
        self._pace = pace
        self._transports: dict[tuple, Transport] = {}

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()

    def send(self, ownership: Ownership, queue: Queue, claim: Claim, meanwhile: Callable[[], None]) -> Attempt:
        """Send a document. If it may have arrived before, ask for it first; both together are one outcome.

        :param meanwhile: called while the answer to a first try is waited for, where the transport can do that
        """
        transport = self.get_transport(queue)
        try:
            document = Document(claim.idempotency_key, self._get_payload(ownership, queue, claim), ownership.epoch, claim.ofd_id)
        except EnvelopeError as error:
            return unwritable(error)
        if claim.is_first_try and not transport.is_register:
            return Attempt(transport.send(document, meanwhile), sent=True)
        return self._ask_and_send(transport, document, ownership, queue, claim)

    def _ask_and_send(
        self, transport: Transport, document: Document, ownership: Ownership, queue: Queue, claim: Claim
    ) -> Attempt:
        asked, tries = None, self._settings.poison_tries
        if must_ask(claim, tries):
            answer = transport.lookup(document)
            asked = answer.outcome
            if (asked is not Outcome.ABSENT and not answer.resend) or not may_send(claim, tries):
                return Attempt(answer, asked)
            self._await_start(ownership, queue)
        return Attempt(transport.send(document), asked, sent=True)

    def _await_start(self, ownership: Ownership, queue: Queue) -> None:
        """For the second request about a document: what the OFD has just said of it stays unsaid if it is left for later."""
        while not self._pace.take_start(queue):
            sleep(LONGEST_WAIT)
            ownership.keep(self._settings.attempt_seconds)

    def _get_payload(self, ownership: Ownership, queue: Queue, claim: Claim) -> str:
        """The envelope as the receiver reads it. One for another protocol is made and stored before anything is sent: what was
        sent to such a receiver before is nowhere in doubt, or it would be settled there.

        :raises EnvelopeError: that protocol can't state the document
        :raises Fenced: somebody else delivers for this register
        """
        if claim.protocol == queue.protocol:
            return claim.payload
        payload = translate(claim.payload, claim.protocol, queue.protocol)
        parameters = {"receipt": claim.id, "epoch": ownership.epoch, "protocol": queue.protocol, "payload": payload}
        if not self._guard.execute(statements.CHANGE_ENVELOPE, parameters):
            raise Fenced(f"epoch {ownership.epoch} of register {queue.register_id} is over")
        return payload

    def get_transport(self, queue: Queue) -> Transport:
        """The transport for an OFD, kept as long as its settings stay as they are."""
        if queue.endpoint_key not in self._transports:
            for key in [key for key in self._transports if key[0] == queue.ofd_id]:
                self._transports.pop(key).close()
            endpoint = Endpoint(queue.url, queue.credentials or {}, self._settings.request_timeout)
            self._transports[queue.endpoint_key] = open_transport(queue.protocol, endpoint)
        return self._transports[queue.endpoint_key]
