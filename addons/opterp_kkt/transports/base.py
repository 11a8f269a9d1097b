"""What every transport takes and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from ..core.fiscal_data import FiscalData
from ..core.hlc import Timestamp

MESSAGE_LENGTH = 2000  # characters kept of an OFD's words
LONGEST_PAUSE = 900.0  # s, whatever an OFD asks for


class Outcome(StrEnum):
    """What came of one attempt. The first four are the OFD's verdicts on this document or key."""

    ACCEPTED = "accepted"  # acknowledged for this very key
    PROCESSING = "processing"  # it has the document and will tell: ask again
    REFUSED = "refused"  # the document is at fault: the same bytes will never pass
    ABSENT = "absent"  # lookups only: this key was never seen
    MISCONFIGURED = "misconfigured"  # address, token or account is at fault: a person must act
    THROTTLED = "throttled"  # later, says the OFD
    UNAVAILABLE = "unavailable"  # certainly not sent
    UNABLE = "unable"  # it has the document and could certainly not do it, as without paper: a new try may pass
    UNKNOWN = "unknown"  # it may have arrived: look up, then send the same again


class EnvelopeError(Exception):
    """A protocol can't state this document."""


class Credential(NamedTuple):
    """What a protocol needs to be let in. What is secret is typed in, and never shown again."""

    name: str
    label: str  # for people who type it in
    secret: bool = True
    in_header: bool = False  # visible ASCII alone, as a header of HTTP takes it


@dataclass(frozen=True)
class Endpoint:
    """Where an OFD answers, and what lets us in: credentials by name, as the protocol declares them.

    `timeout` (s) bounds a whole request: resolve, connect, send, receive.
    """

    url: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 10.0


@dataclass(frozen=True)
class Contents:
    """What an envelope is made of. `document` has FNS JSON names; a register that signs at once has numbered it."""

    idempotency_key: str
    document_type: str
    fiscal_drive_number: str
    registration_number: str
    fd_number: int | None
    hlc: Timestamp
    document: dict
    utc_offset: int | None = None  # hours, of the register's local time
    on_paper: bool = True  # whether a register that prints what it fiscalises is to print it


@dataclass(frozen=True)
class Document:
    """What is sent. `payload` is the exact text that `encode` made; one key always goes with one payload."""

    idempotency_key: str
    payload: str
    epoch: int
    ofd_id: str = ""  # that the latest answer about it brought


class Device(NamedTuple):
    """The register that answered, as it describes itself; None for what it does not tell."""

    model: str | None = None
    firmware: str | None = None
    serial_number: str | None = None
    registration_number: str | None = None  # tag 1037
    inn: str | None = None  # tag 1018
    fiscal_drive_number: str | None = None  # tag 1041
    drive_valid_until: str | None = None  # an ISO date
    shift_number: int | None = None
    shift_state: str | None = None  # closed, opened, expired


@dataclass(frozen=True)
class Answer:
    """What came of one attempt. `message` has the OFD's words: printable, cut, without the token. What is no OFD's, as a proxy's
    page, is not repeated: only its status and type are told.
    """

    outcome: Outcome
    http_status: int | None = None
    message: str = ""
    server_time: int | None = None  # ms since 1970 UTC, by the OFD's clock
    ofd_id: str = ""
    retry_after: float | None = None  # s, at most LONGEST_PAUSE; with THROTTLED, and PROCESSING where it is said
    conflict: bool = False  # this key is known with other bytes
    resend: bool = False  # to a question that only sending the same again answers: the key is known there, and taken once
    duration: float = 0.0  # s
    fiscal_data: FiscalData | None = None  # with ACCEPTED, from a register that numbers and signs what it gets
    total: int | None = None  # kopecks that it says the document is about, with `fiscal_data`
    operation_type: int | None = None  # tag 1054, as it says
    device: Device | None = None  # of `check`


def at_ease() -> None:
    """Do nothing while an answer is waited for."""


class Transport(Protocol):
    """One endpoint, used by one thread at a time and never across a fork.

    `encode` makes a document's envelope, once, when it is issued: its bytes are stored and never made again. No method raises
    for anything that the network or the OFD does: that is what outcomes are for.
    """

    label: str  # for people who choose a protocol
    schemes: tuple[str, ...]  # what its addresses begin with
    is_register: bool  # what answers there is a register: it numbers and signs what it gets (`Answer.fiscal_data`)
    keeps_shifts: bool  # … and opens and closes its shifts by itself: no reports on them are sent
    names_buyer: bool  # each receipt names who gets it, the shop itself where the buyer did not say
    commands: tuple[str, ...]  # what else the register does: report_x, copy, cash_in, cash_out; then it has `command`, and prints
    calls_back: bool  # given the credential `callback_url`, it calls there when it has done with a document
    credentials: tuple[Credential, ...]  # that it can use

    @staticmethod
    def encode(contents: Contents) -> str:
        """The payload: the exact text that will be sent, as UTF-8, or that holds it."""

    @staticmethod
    def decode(payload: str) -> Contents:
        """What `encode` was given; also for payloads of before."""

    def send(self, document: Document, meanwhile: Callable[[], None] = at_ease) -> Answer:
        """Hand one document over. Any outcome but ABSENT.

        Of a transport to an OFD, which takes what is signed already: `meanwhile` is called once, when the document is out and
        its answer is waited for, if it comes to that. It raises nothing. Registers that sign have no such parameter.
        """

    def lookup(self, document: Document) -> Answer:
        """Ask whether the OFD has this document. REFUSED only where it gives its verdict on what was sent later."""

    def check(self) -> Answer:
        """Ask for a key that can't exist. ABSENT is good; `message` has the words of what answered, or of what failed."""

    def command(self, uuid: str, name: str, **facts) -> Answer:
        """Have the register do what is no document, once under this uuid. ACCEPTED: it did; UNABLE: another uuid may pass."""

    def close(self) -> None:
        """Let the connection go; the next call opens another."""
