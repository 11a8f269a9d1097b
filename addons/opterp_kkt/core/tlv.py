"""The binary of fiscal documents: tag, length, value; how a fiscal drive keeps a document and an OFD gets it over TCP.

    document ─ encode() ─ pack_message() adds header and message sign ─ pack_session() adds the session's header
             ─ decode() ─ unpack_message()                            ─ unpack_session()

A document is a dict by FNS JSON names with its form's `code`. Tags that the table doesn't know where they stand have their number
as the key, and bytes (several: a list of bytes) as the value. What can't be written is a `DocumentError`, what can't be read a
`ValueError`.
"""

from binascii import crc_hqx
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from struct import Struct, error
from typing import NamedTuple

from .document_error import DocumentError
from .tags import BY_NAME, BY_NUMBER, ITEM

LARGEST_DOCUMENT = 32_768  # bytes
DECIMALS = 6  # of a quantity (tag 1023)
TEST_SIGN = b"TS"  # before the number in tag 1077; a certified drive has bytes of its own there
TEST_MESSAGE_SIGN = b"TESTONLY"  # stands in for what only a certified drive can make

_HEAD = Struct("<HH")  # tag, length
_MESSAGE = Struct("<HHBBB2s8s3s12s")
_SESSION = Struct("<4s2s2s16sHHH")
SESSION_HEAD = _SESSION.size  # bytes
_MESSAGE_TYPE, _MESSAGE_VERSION = 0xA5, 1
_SIGNATURE, _S_PROTOCOL, _FFD_1_2 = b"*\x08A\n", b"\x81\xa2", b"\x01\x20"
_ANSWER_EXPECTED, _HAS_CONTAINER, _CRC_OF_ALL, _CRC_OF_HEADER = 0x10, 0x04, 0x02, 0x01


# -- documents -----------------------------------------------------------------------------------------------------------------


def encode(document: dict) -> bytes:
    """The document as a TLV whose tag is its form's code.

    :raises DocumentError: a field the format doesn't have there, a value that doesn't fit, an item or a document too large
    """
    fields = dict(document)
    code = fields.pop("code")
    content = _encode_fields(fields, code)
    size = _HEAD.size + len(content)
    if size > LARGEST_DOCUMENT:
        raise DocumentError("size", field=code, size=size, most=LARGEST_DOCUMENT)
    return _HEAD.pack(code, len(content)) + content


def decode(data: bytes) -> dict:
    """The document of a TLV. Unknown tags are kept, as bytes."""
    [(code, content)] = _split(data)
    return {"code": code, **_decode_fields(content, code)}


def _encode_fields(fields: dict, place: int) -> bytes:
    encoded = []
    for name, value in fields.items():
        encoded += encode_field(name, value, place)
    return b"".join(encoded)


def encode_field(name: str | int, value, place: int) -> list[bytes]:
    """A field of a document or a structure; one that repeats has several."""
    if isinstance(name, int):
        return [_HEAD.pack(name, len(each)) + each for each in (value if isinstance(value, list) else [value])]
    tag = BY_NAME.get(place, {}).get(name)
    if not tag:
        raise DocumentError("unknown", field=name)
    if not tag.repeats:
        return [_encode_tag(tag, value)]
    if not isinstance(value, list):
        raise DocumentError("value", field=tag.number)
    return [_encode_one_of(tag, each, line) for line, each in enumerate(value, 1)]


def _encode_one_of(tag, value, line):
    """One of several; an error in an item names its line."""
    try:
        return _encode_tag(tag, value)
    except DocumentError as refusal:
        if tag.number == ITEM:
            refusal.values["line"] = line
        raise


def _encode_tag(tag, value):
    return (_encode_anew if isinstance(value, dict | list) else _encode_once)(tag, value)


def _encode_anew(tag, value):
    content = _ENCODERS[tag.kind](tag, value)
    if tag.length and len(content) > tag.length:
        rule = "size" if tag.kind == "stlv" else "length"
        raise DocumentError(rule, field=tag.number, size=len(content), most=tag.length)
    return _HEAD.pack(tag.number, len(content)) + content


_encode_once = lru_cache(maxsize=4096, typed=True)(_encode_anew)  # most that a shop states it has stated before


def _decode_fields(data, place):
    fields = {}
    known = BY_NUMBER.get(place, {})
    for number, content in _split(data):
        tag = known.get(number)
        if tag and tag.repeats:
            fields.setdefault(tag.name, []).append(_DECODERS[tag.kind](tag, content))
        elif tag:
            if tag.name in fields:
                raise ValueError(f"Tag {number} stands there twice.")
            fields[tag.name] = _DECODERS[tag.kind](tag, content)
        elif number in fields:
            before = fields[number]
            fields[number] = [*(before if isinstance(before, list) else [before]), content]
        else:
            fields[number] = content
    return fields


def _split(data):
    """Pairs of tag and content, which must fill the data."""
    at = 0
    while at < len(data):
        number, length = _unpack(_HEAD, data[at : at + 4])
        at += 4 + length
        if at > len(data):
            raise ValueError(f"Tag {number} is longer than what is left.")
        yield number, data[at - length : at]


def _unpack(head, data):
    try:
        return head.unpack(data)
    except error as problem:
        raise ValueError("A header is cut off.") from problem


# -- values: each kind of tag has an encoder and a decoder ---------------------------------------------------------------------


def _encode_uint(tag, value):
    if type(value) is not int or not 0 <= value < 256**tag.length:
        raise DocumentError("value", field=tag.number)
    return value.to_bytes(tag.length, "little")


def _decode_uint(tag, content):
    if len(content) != tag.length:
        raise ValueError(f"Tag {tag.number} has {len(content)} bytes.")
    return int.from_bytes(content, "little")


def _encode_vln(tag, value):
    if type(value) is not int or value < 0:
        raise DocumentError("value", field=tag.number)
    return _shortest(value)


def _decode_vln(tag, content):
    if not 1 <= len(content) <= 8:  # some pad to eight bytes
        raise ValueError(f"Tag {tag.number} has {len(content)} bytes.")
    return int.from_bytes(content, "little")


def _shortest(value):
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "little")


def _encode_fvln(tag, value):
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or number < 0:
        raise DocumentError("value", field=tag.number)
    places = next((places for places in range(DECIMALS + 1) if number.scaleb(places) % 1 == 0), None)
    if places is None:
        raise DocumentError("decimals", field=tag.number)
    return bytes([places]) + _shortest(int(number.scaleb(places)))


def _decode_fvln(tag, content):
    if not 2 <= len(content) <= 9:
        raise ValueError(f"Tag {tag.number} has {len(content)} bytes.")
    number = Decimal(int.from_bytes(content[1:], "little")).scaleb(-content[0])
    return int(number) if number % 1 == 0 else float(number)


def _encode_string(tag, value):
    if not isinstance(value, str):
        raise DocumentError("value", field=tag.number)
    try:
        return value.encode("cp866")
    except UnicodeEncodeError as problem:
        raise DocumentError("charset", field=tag.number) from problem


def _encode_fixed(tag, value):
    return _encode_string(tag, value).ljust(tag.length)


def _decode_string(tag, content):
    return content.decode("cp866")


def _encode_sign(tag, value):
    if type(value) is not int or not 0 <= value < 2**32:
        raise DocumentError("value", field=tag.number)
    return TEST_SIGN + value.to_bytes(4, "big")


def _decode_sign(tag, content):
    """The number that is printed: the last four bytes."""
    if len(content) != tag.length:
        raise ValueError(f"Tag {tag.number} has {len(content)} bytes.")
    return int.from_bytes(content[2:], "big")


def _encode_stlv(tag, value):
    if not isinstance(value, dict):
        raise DocumentError("value", field=tag.number)
    return _encode_fields(value, tag.number)


def _decode_stlv(tag, content):
    return _decode_fields(content, tag.number)


_ENCODERS = {
    "uint": _encode_uint,
    "time": _encode_uint,
    "vln": _encode_vln,
    "fvln": _encode_fvln,
    "string": _encode_string,
    "fixed": _encode_fixed,
    "sign": _encode_sign,
    "stlv": _encode_stlv,
}
_DECODERS = {
    "uint": _decode_uint,
    "time": _decode_uint,
    "vln": _decode_vln,
    "fvln": _decode_fvln,
    "string": _decode_string,
    "fixed": _decode_string,
    "sign": _decode_sign,
    "stlv": _decode_stlv,
}


# -- messages and sessions -----------------------------------------------------------------------------------------------------


class Message(NamedTuple):
    """A document on its way: its TLV, what the header says of it, and the sign of the whole."""

    document: bytes
    code: int
    fiscal_drive_number: str
    fd_number: int
    sign: bytes


def pack_message(document: dict, sign: bytes = TEST_MESSAGE_SIGN) -> bytes:
    """A numbered document as the drive hands it out: header with CRC, TLV, message sign."""
    body = encode(document) + sign
    head = [
        _MESSAGE.size + len(body),
        0,
        _MESSAGE_TYPE,
        document["code"],
        _MESSAGE_VERSION,
        bytes(2),
        bytes.fromhex(document["fiscalDriveNumber"]),
        document["fiscalDocumentNumber"].to_bytes(3, "big"),
        bytes(12),
    ]
    head[1] = _message_crc(_MESSAGE.pack(*head), body)
    return _MESSAGE.pack(*head) + body


def unpack_message(data: bytes) -> Message:
    """The parts of a message, whose length and CRC are right."""
    head, body = data[: _MESSAGE.size], data[_MESSAGE.size :]
    length, crc, kind, code, _version, _service, drive, fd_number, _more = _unpack(_MESSAGE, head)
    if length != len(data) or kind != _MESSAGE_TYPE:
        raise ValueError("This is no message, or not all of it.")
    if crc != _message_crc(head, body):
        raise ValueError("The message's CRC is wrong.")
    [(_code, content)] = _split(body[: 4 + _unpack(_HEAD, body[:4])[1]])
    end = _HEAD.size + len(content)
    return Message(body[:end], code, drive.hex(), int.from_bytes(fd_number, "big"), body[end:])


def _message_crc(head, body):
    """Over all but its own two bytes."""
    return crc_hqx(head[:2] + head[4:] + body, 0xFFFF)


def pack_session(message: bytes, fiscal_drive_number: str) -> bytes:
    """What goes over the wire: a message, or none (the drive asks for what waits for it), behind the session's header."""
    flags = _ANSWER_EXPECTED | _CRC_OF_ALL | (_HAS_CONTAINER if message else 0)
    head = _SESSION.pack(
        _SIGNATURE, _S_PROTOCOL, _FFD_1_2, fiscal_drive_number.encode("ascii").ljust(16), len(message), flags, 0
    )[:-2]
    return head + crc_hqx(head + message, 0xFFFF).to_bytes(2, "little") + message


def get_message_length(head: bytes) -> int:
    """How many bytes follow a session's header."""
    signature, _s_protocol, _p_protocol, _drive, length, _flags, _crc = _unpack(_SESSION, head)
    if signature != _SIGNATURE:
        raise ValueError("This is no session.")
    return length


def unpack_session(data: bytes) -> tuple[str, bytes]:
    """The number of the drive and the message of a session, whose length and CRC (if it has one) are right."""
    head, message = data[:SESSION_HEAD], data[SESSION_HEAD:]
    if get_message_length(head) != len(message):
        raise ValueError("This is not all of a session.")
    *_, drive, _length, flags, crc = _SESSION.unpack(head)
    covered = head[:-2] + message if flags & _CRC_OF_ALL else head[:-2]
    if flags & (_CRC_OF_ALL | _CRC_OF_HEADER) and crc != crc_hqx(covered, 0xFFFF):
        raise ValueError("The session's CRC is wrong.")
    return drive.decode("ascii").strip(), message
