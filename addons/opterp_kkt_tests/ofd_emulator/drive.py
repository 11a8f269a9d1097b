"""What a fiscal drive speaks to its OFD over TCP, read and answered by an implementation of its own.

Nothing here is shared with the product: what that writes is read by somebody else. A session begins with four bytes of which the
last is a line feed, so on the one port of this emulator it is told from HTTP by its first line.
"""

from __future__ import annotations

import hashlib
import struct
import time
from binascii import crc_hqx
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from .exchange import Answer, Request
from .history import History, Record

SIGNATURE = b"*\x08A\n"
SESSION = struct.Struct("<4s4s16sHHH")  # signature, versions, drive, length, flags, CRC
MESSAGE = struct.Struct("<HHBBB2s8s3s12s")  # length, CRC, kind, form, version, service, drive, number, service
WITH_MESSAGE, CRC_OF_HEAD, CRC_OF_ALL = 0x04, 0x01, 0x02
FORMS = {2: "shift_open", 3: "receipt", 5: "shift_close", 31: "correction"}
WITH_MONEY = ("receipt", "correction")
PAID = (1031, 1081, 1215, 1216, 1217)
OK, UNREADABLE, FAULTY = 0, 11, 14  # tag 1022
MOSCOW = 3 * 3600  # s ahead of UTC


class Packet(NamedTuple):
    """A document as it came: whose, its form, and its tags; structures are kept as bytes."""

    drive: str
    number: int
    form: int
    tags: dict[int, bytes]

    @property
    def key(self) -> str:
        return f"{self.drive}/{self.number}"

    def amount(self, tag: int) -> int:
        return int.from_bytes(self.tags.get(tag, b""), "little")


def read_session(stream: BinaryIO) -> bytes | None:
    """The rest of a session whose signature was read, with it; None when it is cut off."""
    rest = stream.read(SESSION.size - len(SIGNATURE))
    if len(rest) < SESSION.size - len(SIGNATURE):
        return None
    length = SESSION.unpack(SIGNATURE + rest)[3]
    message = stream.read(length)
    return SIGNATURE + rest + message if len(message) == length else None


def parse_session(data: bytes) -> tuple[str, bytes]:
    """The drive and its message; ValueError for a wrong CRC."""
    head, message = data[: SESSION.size], data[SESSION.size :]
    _signature, _versions, drive, _length, flags, crc = SESSION.unpack(head)
    covered = head[:-2] + message if flags & CRC_OF_ALL else head[:-2]
    if flags & (CRC_OF_ALL | CRC_OF_HEAD) and crc != crc_hqx(covered, 0xFFFF):
        raise ValueError("wrong CRC of the session")
    return drive.decode("ascii").strip(), message


def parse_message(message: bytes) -> Packet:
    """A document; ValueError for what is none."""
    try:
        length, crc, _kind, form, _version, _service, drive, number, _more = MESSAGE.unpack(message[: MESSAGE.size])
        if length != len(message) or crc != crc_hqx(message[:2] + message[4:], 0xFFFF):
            raise ValueError("wrong length or CRC of the message")
        tag, size = struct.unpack_from("<HH", message, MESSAGE.size)
    except struct.error as error:
        raise ValueError("cut off") from error
    if tag != form:
        raise ValueError("the document is not of the form that its message says")
    document = message[MESSAGE.size + 4 : MESSAGE.size + 4 + size]
    return Packet(drive.hex(), int.from_bytes(number, "big"), form, dict(split(document)))


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        if len(data) < 4:
            raise ValueError("a tag is cut off")
        tag, length = struct.unpack_from("<HH", data)
        if len(data) < 4 + length:
            raise ValueError(f"tag {tag} is cut off")
        yield tag, data[4 : 4 + length]
        data = data[4 + length :]


def tlv(tag: int, value: bytes) -> bytes:
    return struct.pack("<HH", tag, len(value)) + value


def pack(drive: str, message: bytes = b"") -> bytes:
    """A session of the OFD's."""
    flags = CRC_OF_ALL | (WITH_MESSAGE if message else 0)
    head = SESSION.pack(SIGNATURE, b"\x81\xa2\x01\x20", drive.encode().ljust(16), len(message), flags, 0)[:-2]
    return head + struct.pack("<H", crc_hqx(head + message, 0xFFFF)) + message


def acknowledge(packet: Packet, code: int, sign: bytes = b"", moment: int = 0) -> bytes:
    """Document 7 about a document, in its session. `moment` is in ms since 1970."""
    fields = [
        tlv(1017, b"7704358518  "),
        tlv(1041, packet.drive.encode()),
        tlv(1040, struct.pack("<I", packet.number)),
        tlv(1012, struct.pack("<I", moment // 1000 + MOSCOW)),
        tlv(1068, tlv(1022, bytes([code]))),
        tlv(1206, b"\0"),
        *([tlv(1078, sign)] if sign else []),
    ]
    body = tlv(7, b"".join(fields)) + b"TESTONLY"
    head = [
        MESSAGE.size + len(body),
        0,
        0xA5,
        7,
        1,
        bytes(2),
        bytes.fromhex(packet.drive),
        packet.number.to_bytes(3, "big"),
        bytes(12),
    ]
    packed = MESSAGE.pack(*head) + body
    head[1] = crc_hqx(packed[:2] + packed[4:], 0xFFFF)
    return pack(packet.drive, MESSAGE.pack(*head) + body)


class Drives:
    """Takes each number of each drive once, and says so again when it comes again."""

    def __init__(self, history: History):
        self._history = history

    def describe(self, request: Request) -> dict[str, Any]:
        """What the history keeps of a session."""
        packet = find_packet(request.body)
        told = {"method": request.method, "sha256": hashlib.sha256(request.body).hexdigest()}
        if packet is None:
            return told
        money = FORMS.get(packet.form) in WITH_MONEY
        return told | {
            "key": packet.key,
            "register": packet.drive,
            "fd_number": packet.number,
            "document_type": FORMS.get(packet.form),
            "operation_type": packet.amount(1054) if money else None,
            "total_sum": packet.amount(1020) if money else None,
        }

    def judge(self, record: Record, request: Request, ordered: Answer | None) -> tuple[Answer, dict[str, Any]]:
        packet = find_packet(request.body)
        if packet is None:  # a question, or what can't be read
            asks = request.method == "GET"
            drive = request.body[8:24].decode("ascii", "replace").strip()
            return Answer(200 if asks else 400, pack(drive), "lookup_miss" if asks else "failed"), {}
        known = self._history.documents.get(packet.key)
        if known and known.sha256 != record.sha256:
            return Answer(409, acknowledge(packet, FAULTY, moment=now()), "conflict"), {}
        if known:
            return Answer(200, acknowledge(packet, OK, bytes.fromhex(known.ofd_id), known.server_time), "duplicate"), {}
        if ordered and ordered.status != 422:
            return ordered, {}
        if ordered or find_fault(packet):
            return Answer(422, acknowledge(packet, FAULTY, moment=now()), "refused"), {}
        taken = {"ofd_id": record.sha256[:32], "server_time": now()}
        return Answer(200, acknowledge(packet, OK, bytes.fromhex(taken["ofd_id"]), taken["server_time"]), "accepted"), {
            "accepted": True,
            **taken,
        }

    def forget_orders(self) -> None:
        """Nothing is ordered here."""


def find_packet(session: bytes) -> Packet | None:
    """The document of a session, if there is one that can be read."""
    try:
        _drive, message = parse_session(session)
        return parse_message(message) if message else None
    except ValueError:
        return None


def find_fault(packet: Packet) -> str | None:
    """What an OFD's format and logic control finds."""
    missing = {1041, 1040, 1012, 1077, 1037} - packet.tags.keys()
    if missing:
        return f"no tag {min(missing)}"
    if packet.drive != packet.tags[1041].decode("ascii", "replace") or packet.number != packet.amount(1040):
        return "the numbers are not those of the message"
    if FORMS.get(packet.form) in WITH_MONEY and packet.amount(1020) != sum(map(packet.amount, PAID)):
        return "the payments don't make the total"
    return None


def now() -> int:
    return int(time.time() * 1000)
