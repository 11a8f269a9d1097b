"""Transports: one file per protocol that an OFD speaks. They take a plain document and give back one outcome.

Nothing here knows Odoo, the queue or the breaker: a transport makes one attempt and says what came of it.
"""

from .atol_online import AtolOnline
from .atol_web import AtolWeb
from .base import (
    LONGEST_PAUSE,
    MESSAGE_LENGTH,
    Answer,
    Contents,
    Credential,
    Device,
    Document,
    Endpoint,
    EnvelopeError,
    Outcome,
    Transport,
)
from .http import HttpTransport
from .ofd_tcp import OfdTcp
from .orangedata import OrangeData

__all__ = [
    "LONGEST_PAUSE", "MESSAGE_LENGTH", "PROTOCOLS", "Answer", "Contents", "Credential", "Device", "Document", "Endpoint",
    "EnvelopeError", "Outcome", "Transport", "open_transport", "translate",
]  # fmt: skip

PROTOCOLS: dict[str, type[Transport]] = {
    "http": HttpTransport,
    "ofd_tcp": OfdTcp,
    "atol_web": AtolWeb,
    "atol_online": AtolOnline,
    "orangedata": OrangeData,
}


def open_transport(protocol: str, endpoint: Endpoint) -> Transport:
    """The transport for a protocol's name; KeyError when there is none. It connects on first use."""
    return PROTOCOLS[protocol](endpoint)


def translate(payload: str, protocol: str, other: str) -> str:
    """An envelope of one protocol as one of another: the same document under the same key.

    :raises EnvelopeError: the other protocol can't state it
    """
    try:
        return PROTOCOLS[other].encode(PROTOCOLS[protocol].decode(payload))
    except Exception as error:  # whatever is wrong with it, it is wrong each time
        raise EnvelopeError(f"{other}: {type(error).__name__} {error}") from error
