"""Our documents as receipts of ATOL Online, protocol v5 (FFD 1.2): what a register in the cloud is told to fiscalise.

Names and codes as in clients of it (github.com/ili/atol-online, github.com/anthonyaxenov/atol-online, ReadyScript's
`AtolOnlineV5`; the rates since 2025, `internet` and `timezone` in github.com/sushi-market/atol-online-sdk). Not verified against
the real service. Kinds of goods and measures (tags 1212, 2108) have the format's own numbers there. `cashless_payments` (1234) is
not sent: no document of ours states it, and tag 1236 has no approved values.
"""

from datetime import UTC, datetime, timedelta

from .atol_task import CORRECTION_TYPES, RATES, get_correction_base, get_requisites, to_roubles
from .base import Contents, EnvelopeError

OPERATIONS = {1: "sell", 2: "sell_refund", 3: "buy", 4: "buy_refund"}  # tag 1054
TAXATION = {1: "osn", 2: "usn_income", 4: "usn_income_outcome", 16: "esn", 32: "patent"}  # tag 1055
PAYMENTS = {"cashTotalSum": 0, "ecashTotalSum": 1, "prepaidSum": 2, "creditSum": 3, "provisionSum": 4}
METHODS = {  # tag 1214
    1: "full_prepayment", 2: "prepayment", 3: "advance", 4: "full_payment", 5: "partial_payment", 6: "credit",
    7: "credit_payment",
}  # fmt: skip
MOSCOW = 3  # hours from UTC
ZONES = range(2, 13)  # hours from UTC of tag 1011, which counts them from 1


def get_operation(contents: Contents) -> str:
    """The last part of the address that a document is sent to."""
    if "operationType" not in contents.document:
        raise EnvelopeError("ATOL Online opens and closes shifts by itself: it takes no reports on them")
    return OPERATIONS[contents.document["operationType"]] + ("_correction" if contents.document_type == "correction" else "")


def to_request(contents: Contents) -> dict:
    """What is sent beside `external_id`; KeyError for what the service has no name for."""
    document = contents.document
    correction = contents.document_type == "correction"
    return {
        "timestamp": _get_time(contents),
        "correction" if correction else "receipt": {
            "client": _get_client(document),
            "company": _get_company(document),
            **({"correction_info": _get_correction(document)} if correction else {}),
            "items": [_get_item(item) for item in document["items"]],
            "payments": [{"type": kind, "sum": to_roubles(document[name])} for name, kind in PAYMENTS.items() if document[name]]
            or [{"type": PAYMENTS["cashTotalSum"], "sum": 0}],
            "total": to_roubles(document["totalSum"]),
            "internet": bool(document.get("internetPayment")),
            **({"timezone": ZONES.index(contents.utc_offset) + 1} if contents.utc_offset in ZONES else {}),
            **_get_cashier(document),
            **get_requisites(document, "additional_check_props", "additional_user_props"),
        },
    }


def _get_time(contents):
    """When the document was issued, by the register's local time."""
    offset = timedelta(hours=MOSCOW if contents.utc_offset is None else contents.utc_offset)
    return f"{datetime.fromtimestamp(contents.hlc.local_time // 1000, UTC) + offset:%d.%m.%Y %H:%M:%S}"


def _get_client(document):
    if not (contact := document.get("buyerPhoneOrAddress")):
        raise EnvelopeError("ATOL Online sends each receipt to somebody: neither the buyer nor the shop has an e-mail address")
    return {"email" if "@" in contact else "phone": contact}


def _get_company(document):
    if not (sender := document.get("sellerAddress")):
        raise EnvelopeError("ATOL Online states the shop's e-mail address on each receipt, and there is none")
    return {
        "email": sender,
        "sno": TAXATION[document["appliedTaxationType"]],
        "inn": document["userInn"].strip(),
        "payment_address": document["retailPlace"],
        "location": document["retailPlaceAddress"],
    }


def _get_item(item):
    return {
        "name": item["name"],
        "price": to_roubles(item["price"]),
        "quantity": item["quantity"],
        "measure": item["itemsQuantityMeasure"],
        "sum": to_roubles(item["sum"]),
        "payment_method": METHODS[item["paymentType"]],
        "payment_object": item["productType"],
        "vat": {"type": RATES[item["nds"]], **({"sum": to_roubles(item["ndsSum"])} if "ndsSum" in item else {})},
    }


def _get_cashier(document):
    name, inn = document.get("operator"), (document.get("operatorInn") or "").strip()
    return {**({"cashier": name} if name else {}), **({"cashier_inn": inn} if inn else {})}


def _get_correction(document):
    day, number = get_correction_base(document)
    return {
        "type": CORRECTION_TYPES[document["correctionType"]],
        "base_date": f"{day:%d.%m.%Y}",
        **({"base_number": number} if number else {}),
    }
