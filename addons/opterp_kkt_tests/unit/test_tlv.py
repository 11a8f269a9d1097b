"""The binary of fiscal documents, both ways. `SLOW=1` tries fifty times as many documents."""

import os
from binascii import crc_hqx
from calendar import timegm
from datetime import datetime
from decimal import Decimal

import pytest
from core import tlv
from core.document_error import DocumentError
from core.tags import BY_NAME, TABLE, TAGS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = 10_000 if os.environ.get("SLOW") else 200
CP866 = bytes(range(256)).decode("cp866")
DRIVE = "9999078900005488"


def fields(place, **values):
    """The bytes of these fields in a document of that form, without its head."""
    return tlv.encode({"code": place, **values})[4:].hex()


def content(data, place=3):
    """What these bytes, given in hex, mean in a document of that form."""
    data = bytes.fromhex(data)
    decoded = tlv.decode(place.to_bytes(2, "little") + len(data).to_bytes(2, "little") + data)
    return {name: value for name, value in decoded.items() if name != "code"}


# -- vectors -------------------------------------------------------------------------------------------------------------------

VECTORS = [
    ("5b040f005f040b00af0401000b60040200de38", {"amountsReceiptNds": {"amountsNds": [{"nds": 11, "ndsSum": 14558}]}}),
    ("f40304000c48046b", {"dateTime": timegm(datetime(2026, 11, 23, 14, 5).timetuple())}),
    ("fa030c00373730323230333237362020", {"userInn": "7702203276  "}),
    ("350406005453aa107541", {"fiscalSign": 2853205313}),
    ("fc03020000ff", {"totalSum": 0xFF00}),
    ("fc03010000", {"totalSum": 0}),
    ("fc030600ffffffffffff", {"totalSum": 2**48 - 1}),
    ("fd030500" + "Анна".encode("cp866").hex() + "21", {"operator": "Анна!"}),
    ("0d041400" + b"0000000005008570    ".hex(), {"kktRegId": "0000000005008570    "}),
    ("100404002a000000", {"fiscalDocumentNumber": 42}),
]
QUANTITIES = [
    ("ff0302000001", 1),
    ("ff030200010f", 1.5),
    ("ff030300034d01", 0.333),
    ("ff03030001de01", 47.8),
    ("ff03070006ffffffffffff", 281474976.710655),
]


@pytest.mark.parametrize(("data", "values"), VECTORS)
def test_vectors(data, values):
    assert fields(3, **values) == data
    assert content(data) == values


@pytest.mark.parametrize(("data", "quantity"), QUANTITIES)
def test_quantities(data, quantity):
    assert fields(3, items=[{"quantity": quantity}]) == "2304" + f"{len(data) // 2:02x}00" + data
    assert content("2304" + f"{len(data) // 2:02x}00" + data) == {"items": [{"quantity": quantity}]}


def test_quantity_is_written_with_the_fewest_digits():
    assert fields(3, items=[{"quantity": Decimal("1.500")}]) == fields(3, items=[{"quantity": 1.5}])
    assert fields(3, items=[{"quantity": Decimal("1E+1")}]) == fields(3, items=[{"quantity": 10}])


def test_base_of_a_correction():
    day = timegm(datetime(2026, 11, 20).timetuple())
    assert fields(31, correctionBase={"correctionDocumentDate": day}) == "960408009a040400808dff6a"


def test_numbers_of_fixed_length_are_padded():
    assert fields(3, userInn="7702203276") == fields(3, userInn="7702203276  ")


def test_padded_money_of_others_is_read():
    assert content("fc030800de38000000000000") == {"totalSum": 14558}


def test_sign_of_a_certified_drive():
    assert content("350406002104aa107541") == {"fiscalSign": 2853205313}


def test_the_table_is_whole():
    rows = [row for row in TABLE.splitlines() if row]
    assert len(rows) == len(TAGS), "a number stands there twice"
    for place, names in BY_NAME.items():
        assert len(names) == sum(place in tag.places for tag in TAGS.values()), f"a name stands twice in {place}"
        assert place in (2, 3, 5, 7, 31) or TAGS[place].kind == "stlv"
    assert {tag.kind for tag in TAGS.values()} == set(tlv._ENCODERS) == set(tlv._DECODERS)
    assert {place for place in TAGS if TAGS[place].kind == "stlv"} <= set(BY_NAME), "a structure of nothing"


# -- what can't be written, what can't be read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"nonsense": 1}, "unknown", "nonsense"),
        ({"name": "a"}, "unknown", "name"),  # an item's, not the receipt's
        ({"totalSum": -1}, "value", 1020),
        ({"totalSum": 1.0}, "value", 1020),
        ({"totalSum": True}, "value", 1020),
        ({"totalSum": 2**48}, "length", 1020),
        ({"operationType": 256}, "value", 1054),
        ({"operator": 7}, "value", 1021),
        ({"operator": "a" * 65}, "length", 1021),
        ({"operator": "«A»"}, "charset", 1021),
        ({"userInn": "1" * 13}, "length", 1018),
        ({"fiscalSign": 2**32}, "value", 1077),
        ({"items": {}}, "value", 1059),
        ({"properties": []}, "value", 1084),
        ({"properties": {"propertyName": "a" * 64, "propertyValue": "b" * 249}}, "size", 1084),
    ],
)
def test_what_can_not_be_written(values, code, field):
    with pytest.raises(DocumentError) as refusal:
        fields(3, **values)
    assert (refusal.value.code, refusal.value.values["field"]) == (code, field)
    assert "line" not in refusal.value.values


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        (-1, "value"),
        ("x", "value"),
        (None, "value"),
        (True, "value"),
        (float("nan"), "value"),
        (float("inf"), "value"),
        (1.2345678, "decimals"),
        (2**56, "length"),
    ],
)
def test_quantities_that_can_not_be_written(quantity, code):
    with pytest.raises(DocumentError) as refusal:
        fields(3, items=[{"quantity": 1}, {"quantity": quantity}])
    assert (refusal.value.code, refusal.value.values["line"]) == (code, 2)


def test_sizes():
    item = {
        "name": "N" * 128,
        "propertiesItem": "P" * 64,
        "customEntryNum": "C" * 32,
        "itemsIndustryDetails": [{"industryPropValue": "I" * 256}, {"industryPropValue": "I" * 256}],
    }
    room = 1024 - len(bytes.fromhex(fields(3, items=[item]))) + 4
    fill = {"idFoiv": "1", "industryPropValue": "I" * (room - 4 - 5 - 4)}
    assert len(fields(3, items=[{**item, "itemsIndustryDetails": [*item["itemsIndustryDetails"], fill]}])) // 2 == 1024 + 4
    fill["idFoiv"] = "22"
    with pytest.raises(DocumentError) as refusal:
        fields(3, items=[{"name": "small"}, {**item, "itemsIndustryDetails": [*item["itemsIndustryDetails"], fill]}])
    assert (refusal.value.code, refusal.value.values) == ("size", {"field": 1059, "size": 1025, "most": 1024, "line": 2})
    items = [{"name": "N" * 120}] * 255  # of 128 bytes
    assert len(tlv.encode({"code": 3, "items": items, "user": "U" * 120})) == 32_768
    with pytest.raises(DocumentError) as refusal:
        tlv.encode({"code": 3, "items": items, "user": "U" * 121})
    assert (refusal.value.code, refusal.value.values["size"]) == ("size", 32_769)


@pytest.mark.parametrize(
    "data",
    [
        "03",
        "0300",
        "030005000c",
        "0300010000",
        "03000500fc0301000100",  # cut off, or more than one document
        "03000600fc030200010203",
        "03000500fc0302000a",
        "03000400fc030000",  # no money at all
        "030006001e0402000102",  # one byte has two
        "03000a00fc03010001fc03010001",  # twice
    ],
)
def test_what_can_not_be_read(data):
    with pytest.raises(ValueError):
        tlv.decode(bytes.fromhex(data))


@settings(max_examples=EXAMPLES, database=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data):
    for whole in (data, b"\x03\x00" + len(data).to_bytes(2, "little") + data):
        try:
            decoded = tlv.decode(whole)
        except ValueError:
            continue
        assert isinstance(decoded, dict) and isinstance(decoded["code"], int)


# -- there and back ------------------------------------------------------------------------------------------------------------


def texts(length):
    return st.text(CP866, max_size=length)


def values_of(tag, depth):
    kind = {
        "uint": lambda: st.integers(0, 256**tag.length - 1),
        "time": lambda: st.integers(0, 2**32 - 1),
        "vln": lambda: st.integers(0, 2**48 - 1),
        "fvln": lambda: st.integers(0, 2**48 - 1).map(lambda n: n // 10**6 if n % 10**6 == 0 else n / 10**6),
        "string": lambda: texts(tag.length),
        "fixed": lambda: texts(tag.length).map(lambda text: text.ljust(tag.length)),
        "sign": lambda: st.integers(0, 2**32 - 1),
        "stlv": lambda: structures(tag.number, depth),
    }[tag.kind]()
    return st.lists(kind, min_size=1, max_size=3) if tag.repeats else kind


raw = st.binary(max_size=9)
unknown = st.dictionaries(st.integers(3000, 65535), raw | st.lists(raw, min_size=2, max_size=3), max_size=2)


def structures(place, depth=0):
    known = st.fixed_dictionaries(
        {}, optional={name: values_of(tag, depth + 1) for name, tag in BY_NAME[place].items() if depth < 3 or tag.kind != "stlv"}
    )
    return st.builds(lambda one, other: one | other, known, unknown)


documents = st.sampled_from([2, 3, 5, 31]).flatmap(lambda code: structures(code).map(lambda document: {"code": code, **document}))


def fits(document):
    try:
        tlv.encode(document)
        return True
    except DocumentError as refusal:
        assert refusal.code == "size"
        return False


@settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
@given(documents.filter(fits))
def test_documents_there_and_back(document):
    data = tlv.encode(document)
    assert tlv.decode(data) == document
    assert tlv.encode(tlv.decode(data)) == data


# -- messages and sessions -----------------------------------------------------------------------------------------------------

RECEIPT = {"code": 3, "fiscalDriveNumber": DRIVE, "fiscalDocumentNumber": 0x010203, "totalSum": 14558, "fiscalSign": 1}


def test_crc():
    assert crc_hqx(b"123456789", 0xFFFF) == 0x29B1
    # a registration number is ten digits and their CRC with the owner's INN and the serial number
    assert f"{crc_hqx(b'0000000005' + b'7702203276'.rjust(12, b'0') + b'2'.rjust(20, b'0'), 0xFFFF):06}" == "008570"


def test_header_of_a_message():
    message = tlv.pack_message(RECEIPT)
    assert message[:2] == len(message).to_bytes(2, "little")
    assert message[2:4] == crc_hqx(message[:2] + message[4:], 0xFFFF).to_bytes(2, "little")
    assert message[4:32].hex() == "a5030100009999078900005488010203" + "00" * 12
    assert message[32:-8] == tlv.encode(RECEIPT)
    assert message[-8:] == b"TESTONLY"
    assert tlv.unpack_message(message) == (tlv.encode(RECEIPT), 3, DRIVE, 0x010203, b"TESTONLY")


def test_header_of_a_session():
    message = tlv.pack_message(RECEIPT)
    session = tlv.pack_session(message, DRIVE)
    assert session[:6].hex() == "2a08410a81a2"
    assert session[6:24] == b"\x01\x20" + DRIVE.encode()
    assert session[24:26] == len(message).to_bytes(2, "little")
    assert session[26:28] == b"\x16\x00"  # answer expected, container, CRC of all
    assert session[28:30] == crc_hqx(session[:28] + message, 0xFFFF).to_bytes(2, "little")
    assert tlv.unpack_session(session) == (DRIVE, message)
    assert tlv.unpack_session(tlv.pack_session(b"", DRIVE)) == (DRIVE, b"")


def test_a_session_without_crc_is_read():
    message = tlv.pack_message(RECEIPT)
    session = bytearray(tlv.pack_session(message, DRIVE))
    session[26:30] = b"\x14\x00\x00\x00"
    assert tlv.unpack_session(bytes(session)) == (DRIVE, message)


def test_what_is_no_session_is_refused():
    """Without a CRC, only the signature tells."""
    session = bytearray(tlv.pack_session(b"", DRIVE))
    session[0], session[26:30] = 0, b"\x10\x00\x00\x00"
    with pytest.raises(ValueError, match="no session"):
        tlv.unpack_session(bytes(session))


@pytest.mark.parametrize("at", range(0, 100))
def test_a_changed_bit_is_seen(at):
    session = bytearray(tlv.pack_session(tlv.pack_message(RECEIPT), DRIVE))
    session[at % len(session)] ^= 0x40
    with pytest.raises(ValueError):
        tlv.unpack_message(tlv.unpack_session(bytes(session))[1])


@pytest.mark.parametrize("keep", [0, 1, 29, 30, 40, 61, 62, 70])
def test_what_is_cut_off_is_refused(keep):
    session = tlv.pack_session(tlv.pack_message(RECEIPT), DRIVE)[:keep]
    with pytest.raises(ValueError):
        tlv.unpack_message(tlv.unpack_session(session)[1])
