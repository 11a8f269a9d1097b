"""Who numbers and signs: the emulated register at once, one elsewhere by its answer. And the envelope, byte for byte."""

import hashlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from opterp_kkt.core.ffd import to_text
from opterp_kkt.core.hlc import Timestamp
from opterp_kkt.core.text import fit_texts
from opterp_kkt.drivers import DRIVERS, Emulator, Numbers, Remote
from opterp_kkt.drivers.emulator import emulated_sign
from opterp_kkt.transports import PROTOCOLS, Contents, translate

MOSCOW = ZoneInfo("Europe/Moscow")
BODY = {
    "code": 3,
    "fiscalDocumentFormatVer": 4,
    "operationType": 1,
    "operator": "Иванова А. А.",
    "user": 'ООО "Оптика"',
    "userInn": "7700123459  ",
    "kktRegId": "0000000000000001    ",
    "retailPlaceAddress": "Москва, Тверская 1",
    "retailPlace": "Салон",
    "appliedTaxationType": 1,
    "fnsUrl": "www.nalog.gov.ru",
    "items": [
        {
            "name": "Оправа «Нева»",
            "price": 84990,
            "quantity": 1.5,
            "sum": 127485,
            "nds": 11,
            "ndsSum": 22989,
            "paymentType": 4,
            "productType": 1,
            "itemsQuantityMeasure": 0,
        }
    ],
    "totalSum": 127485,
    "cashTotalSum": 127485,
    "ecashTotalSum": 0,
    "prepaidSum": 0,
    "creditSum": 0,
    "provisionSum": 0,
}
NUMBERS = Numbers("9999000000000001", 42, 2, 5, datetime(2026, 11, 24, 0, 30))
# Version 19.0.1.1.0 wrote this for the same sale. What it stored is sent, looked up and compared by these bytes for ever.
GOLDEN = (
    '{"idempotency_key":"db.key","register":{"fiscal_drive_number":"9999000000000001","registration_number":"0000000000000001"},'
    '"fd_number":42,"document_type":"receipt","hlc":{"local_time":1764000000123,"logical_counter":7,"node":"0123456789ab"},'
    '"document":{"code":3,"fiscalDocumentFormatVer":4,"operationType":1,"operator":"Иванова А. А.","user":"ООО \\"Оптика\\"",'
    '"userInn":"7700123459  ","kktRegId":"0000000000000001    ","retailPlaceAddress":"Москва, Тверская 1","retailPlace":"Салон",'
    '"appliedTaxationType":1,"fnsUrl":"www.nalog.gov.ru","items":[{"name":"Оправа «Нева»","price":84990,"quantity":1.5,'
    '"sum":127485,"nds":11,"ndsSum":22989,"paymentType":4,"productType":1,"itemsQuantityMeasure":0}],"totalSum":127485,'
    '"cashTotalSum":127485,"ecashTotalSum":0,"prepaidSum":0,"creditSum":0,"provisionSum":0,"dateTime":1795480200,'
    '"shiftNumber":2,"requestNumber":5,"fiscalDriveNumber":"9999000000000001","fiscalDocumentNumber":42,'
    '"fiscalSign":3242137190}}'
)


def get_contents(document):
    return Contents(
        "db.key", "receipt", "9999000000000001", "0000000000000001", 42, Timestamp(1764000000123, 7, "0123456789ab"), document
    )


def test_payload_is_what_it_was_byte_for_byte():
    document, fiscal_data = Emulator().sign(BODY, NUMBERS)
    assert PROTOCOLS["http"].encode(get_contents(document)) == GOLDEN
    assert fiscal_data._asdict() == {
        "fiscal_drive_number": "9999000000000001",
        "fd_number": 42,
        "shift_number": 2,
        "receipt_number": 5,
        "fiscal_sign": "3242137190",
        "qr": "t=20261124T0030&s=1274.85&fn=9999000000000001&i=42&fp=3242137190&n=1",
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_envelope_can_be_opened(protocol):
    somebody = {"buyerPhoneOrAddress": "a@example.com", "sellerAddress": "shop@example.com"}
    document, _fiscal_data = Emulator().sign(fit_texts({**BODY, **somebody}), NUMBERS)
    payload = PROTOCOLS[protocol].encode(get_contents(document))
    assert PROTOCOLS[protocol].decode(payload) == get_contents(document)
    assert translate(payload, protocol, protocol) == payload


def test_time_is_the_local_time_of_the_register():
    moment = datetime(2026, 11, 23, 21, 30, tzinfo=UTC).astimezone(MOSCOW)
    document, fiscal_data = Emulator().sign(BODY, NUMBERS._replace(moment=moment))
    assert document["dateTime"] == datetime(2026, 11, 24, 0, 30, tzinfo=UTC).timestamp()
    assert fiscal_data.qr.startswith("t=20261124T0030&")


def test_sign_covers_everything_and_has_up_to_ten_digits():
    document = {"totalSum": 100, "user": "Оптика"}
    digest = hashlib.sha256('{"totalSum":100,"user":"Оптика"}'.encode()).digest()
    assert emulated_sign(document) == int.from_bytes(digest[:4], "big") < 10**10
    assert emulated_sign({**document, "totalSum": 101}) != emulated_sign(document)
    signed, _fiscal_data = Emulator().sign(BODY, NUMBERS)
    sign = signed.pop("fiscalSign")
    assert sign == emulated_sign(signed)


def test_a_report_is_signed_without_a_qr_code():
    document, fiscal_data = Emulator().sign({"code": 2}, NUMBERS)
    assert document["fiscalSign"] and fiscal_data.fiscal_sign and fiscal_data.qr is None


def test_a_register_elsewhere_leaves_numbers_and_sign_to_the_answer():
    driver = Remote("On the counter")
    document, fiscal_data = driver.sign(BODY, NUMBERS)
    assert to_text(document) == to_text(BODY) and fiscal_data is None and not driver.at_once


def test_only_real_drivers_are_offered():
    assert {name: driver.label for name, driver in DRIVERS.items()} == {
        "emulator": "Emulated register (tests only)",
        "remote": "Register on the counter or in the cloud",
    }
