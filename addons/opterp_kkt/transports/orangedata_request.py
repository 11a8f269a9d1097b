"""Our documents as those of OrangeData, protocol v2 (FFD 1.2): what a register in its data centre is told to fiscalise.

Names and codes as in the service's own clients (github.com/orangedata-official: node-orangedata `schemes.js`, Python-OrangeData
`client.py`). Rates, kinds of goods and measures (tags 1199, 1212, 2108) have the format's own numbers. Not verified against the
real service: the rates since 2025.
"""

from .atol_task import get_correction_base, get_requisites, to_roubles
from .base import Contents, EnvelopeError

FFD_1_2 = 4
TAXATION = {1: 0, 2: 1, 4: 2, 16: 4, 32: 5}  # tag 1055, there an index
PAYMENTS = {"cashTotalSum": 1, "ecashTotalSum": 2, "prepaidSum": 14, "creditSum": 15, "provisionSum": 16}
NOBODY = "none"  # for a buyer who gave no address


def get_resource(contents: Contents) -> str:
    """The part of the address that documents of that kind are sent to and asked for at."""
    if "operationType" not in contents.document:
        raise EnvelopeError("OrangeData opens and closes shifts by itself: it takes no reports on them")
    return "correction12" if contents.document_type == "correction" else "documents"


def to_content(contents: Contents) -> dict:
    """What is sent as `content`; KeyError for what the service has no name for."""
    document = contents.document
    return {
        "ffdVersion": FFD_1_2,
        "type": document["operationType"],
        "positions": [_get_position(item) for item in document["items"]],
        "checkClose": {
            "payments": [
                {"type": kind, "amount": to_roubles(document[name])} for name, kind in PAYMENTS.items() if document[name]
            ]
            or [{"type": PAYMENTS["cashTotalSum"], "amount": 0}],
            "taxationSystem": TAXATION[document["appliedTaxationType"]],
        },
        "customerContact": document.get("buyerPhoneOrAddress") or NOBODY,
        "totalSum": to_roubles(document["totalSum"]),
        "settlementAddress": document["retailPlaceAddress"],
        "settlementPlace": document["retailPlace"],
        **(_get_correction(document) if contents.document_type == "correction" else {}),
        **_get_people(document),
        **get_requisites(document, "additionalAttribute", "additionalUserAttribute"),
    }


def _get_position(item):
    return {
        "quantity": item["quantity"],
        "price": to_roubles(item["price"]),
        "tax": item["nds"],
        **({"taxSum": to_roubles(item["ndsSum"])} if "ndsSum" in item else {}),
        "text": item["name"],
        "paymentMethodType": item["paymentType"],
        "paymentSubjectType": item["productType"],
        "quantityMeasurementUnit": item["itemsQuantityMeasure"],
    }


def _get_people(document):
    named = {
        "cashier": document.get("operator"),
        "cashierINN": (document.get("operatorInn") or "").strip(),
        "senderEmail": document.get("sellerAddress"),
    }
    return {name: text for name, text in named.items() if text}


def _get_correction(document):
    day, number = get_correction_base(document)
    return {
        "correctionType": document["correctionType"],
        "causeDocumentDate": f"{day:%Y-%m-%d}T00:00:00",
        **({"causeDocumentNumber": number} if number else {}),
    }
