"""What a cash register speaks to its OFD: the binary document, in a message, in a session, over TCP.

Only for the emulated register: its documents have test signs where a certified drive's cryptography would stand, so no OFD takes
them but in a test. The layout is that of `core/tlv.py`; the acknowledgement is document 7 (FFD 1.2), its answer codes (tag 1022)
those of public implementations. Not verified against a real OFD.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import monotonic
from urllib.parse import urlsplit

from ..core import tlv
from ..core.ffd import to_text
from ..core.hlc import Timestamp
from .base import Answer, Contents, Document, Endpoint, EnvelopeError, Outcome, at_ease
from .wire import connect

ACKNOWLEDGEMENT = 7  # the form's code
NOBODY = "9999000000000000"  # no drive's number, for a question that changes nothing
MOSCOW = 3 * 3600  # s ahead of UTC: an acknowledgement states the local time of the OFD
VERDICTS = {  # tag 1022
    0: (Outcome.ACCEPTED, ""),
    11: (Outcome.REFUSED, "the document was not recognised"),
    14: (Outcome.REFUSED, "the document did not pass the format and logic control"),
}


class OfdTcp:
    """One document, one connection: a session out, the acknowledgement of this very document back.

        send      session with the message that `encode` made ──> session with document 7
        lookup    the protocol has no question: the same bytes are sent again, and acknowledged again
        check     a session without a message, which a drive sends to ask for what waits for it

    The OFD knows a document by the numbers of drive and document.
    """

    label = "OFD's own protocol (TCP, emulated registers)"
    schemes = ("tcp://",)
    is_register = False
    keeps_shifts = False
    names_buyer = False
    commands = ()
    calls_back = False
    credentials = ()

    def __init__(self, endpoint: Endpoint):
        self._url, self._timeout = urlsplit(endpoint.url), endpoint.timeout
        self._fault = find_fault(endpoint)

    @staticmethod
    def encode(contents: Contents) -> str:
        """The message, beside what it was made of; see `Transport.encode`."""
        if contents.fd_number is None:
            raise EnvelopeError("only what is numbered and signed can be sent so")
        message = b64encode(tlv.pack_message(contents.document)).decode()
        return to_text({**vars(contents), "hlc": contents.hlc._asdict(), "message": message})

    @staticmethod
    def decode(payload: str) -> Contents:
        """See `Transport.decode`."""
        envelope = json.loads(payload)
        del envelope["message"]
        return Contents(**{**envelope, "hlc": Timestamp(**envelope["hlc"])})

    def send(self, document: Document, meanwhile: Callable[[], None] = at_ease) -> Answer:
        """See `Transport.send`."""
        envelope = json.loads(document.payload)
        drive, message = envelope["fiscal_drive_number"], b64decode(envelope["message"])
        read = partial(read_answer, drive=drive, fd_number=envelope["fd_number"])
        return self._attempt(tlv.pack_session(message, drive), read, meanwhile)

    def lookup(self, document: Document) -> Answer:
        """See `Transport.lookup`."""
        return Answer(Outcome.UNKNOWN, message="only sending it again tells what became of it", resend=True)

    def check(self) -> Answer:
        """See `Transport.check`."""
        return self._attempt(tlv.pack_session(b"", NOBODY), lambda _message: Answer(Outcome.ABSENT))

    def close(self) -> None:
        """No connection is kept."""

    def _attempt(self, session: bytes, read: Callable[[bytes], Answer], meanwhile: Callable[[], None] = at_ease) -> Answer:
        """One Answer, whatever happens, within the endpoint's time."""
        if self._fault:
            return Answer(Outcome.MISCONFIGURED, message=self._fault)
        begun = monotonic()
        try:
            connection = connect(self._url.hostname, self._url.port, self._timeout)
        except (OSError, ValueError) as error:
            answer = Answer(Outcome.UNAVAILABLE, message=str(error))
        else:
            with connection:
                answer = _exchange(connection, session, read, meanwhile)
        return replace(answer, duration=monotonic() - begun)


def find_fault(endpoint: Endpoint) -> str:
    """What is wrong with an endpoint's address, in words, or ""."""
    try:
        url = urlsplit(endpoint.url)
        named = url.scheme == "tcp" and url.hostname and url.port
    except ValueError:
        named = False
    beyond = (
        endpoint.url.rstrip("/").count("/") > 2 or "@" in endpoint.url or not endpoint.url.isprintable() or " " in endpoint.url
    )
    return "" if named and not beyond else "The address must look like tcp://ofd.example:7777, with a port and nothing behind it."


def _exchange(connection, session: bytes, read: Callable[[bytes], Answer], meanwhile: Callable[[], None]) -> Answer:
    try:
        connection.sendall(session)
        meanwhile()
        with connection.makefile("rb") as stream:
            head = stream.read(tlv.SESSION_HEAD)
            _drive, message = tlv.unpack_session(head + stream.read(tlv.get_message_length(head)))
        return read(message)
    except OSError as error:
        return Answer(Outcome.UNKNOWN, message=str(error))
    except ValueError as error:
        return Answer(Outcome.UNKNOWN, message=f"what answers there is no OFD, or its answer is garbled: {error}")


def read_answer(message: bytes, drive: str, fd_number: int) -> Answer:
    """The outcome that an OFD's message is.

    :raises ValueError: it is none
    """
    if not message:
        return Answer(Outcome.UNKNOWN, message="no acknowledgement of this document")
    said = tlv.decode(tlv.unpack_message(message).document)
    about = said.get("fiscalDriveNumber"), said.get("fiscalDocumentNumber")
    if said["code"] != ACKNOWLEDGEMENT or about != (drive, fd_number):
        return Answer(Outcome.UNKNOWN, message="no acknowledgement of this document, but of another")
    code = said.get("messageToDrive", {}).get("answerCode")
    outcome, words = VERDICTS.get(code, (Outcome.UNKNOWN, "an answer that nobody knows"))
    if outcome is not Outcome.ACCEPTED:
        return Answer(outcome, message=f"{code}: {words}")
    sign = said.get(1078, b"")
    time = said.get("dateTime")
    return Answer(outcome, server_time=time and (time - MOSCOW) * 1000, ofd_id=sign.hex() if isinstance(sign, bytes) else "")
