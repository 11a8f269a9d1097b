"""What a document must satisfy before a register numbers it."""

from decimal import Decimal

from . import tlv, vat
from .document_error import DocumentError
from .tags import BY_NAME, ITEM, REQUIRED, TAGS

LARGEST = 2**48 - 1  # kopecks, millionths of a unit: six bytes (tags 1020, 1023, 1079)
PAYMENT_FORMS = {  # tags 1031, 1081, 1215, 1216, 1217
    "cash": "cashTotalSum",
    "ecash": "ecashTotalSum",
    "prepaid": "prepaidSum",
    "credit": "creditSum",
    "provision": "provisionSum",
}
VAT_TOTALS = {"nds18", "nds10", "nds0", "ndsNo", "nds18118", "nds10110", "amountsReceiptNds"}
BY_REGISTER = {  # what is added when it is numbered
    "dateTime",
    "shiftNumber",
    "requestNumber",
    "fiscalDriveNumber",
    "fiscalDocumentNumber",
    "fiscalSign",
}
ROOM_FOR_NUMBERS = sum(4 + tag.length for tag in TAGS.values() if tag.name in BY_REGISTER)  # bytes
BY_REGISTER |= {"kktVersion", "documentKktVersion", "fdKeyResource"}  # in reports, of itself


def check(body: dict):
    """Nothing is missing in a receipt, every field fits (the encoder says so), and the sums add up.

    :raises DocumentError: with field, rule and, of an item, its line
    """
    check_report(body)
    for line, item in enumerate(body["items"], 1):
        if abs(item["sum"] - item["price"] * Decimal(str(item["quantity"]))) > 1:
            raise DocumentError("price", field=1043, line=line)
        if item.get("ndsSum") != vat.amount(item["sum"], item["nds"]):
            raise DocumentError("vat_amount", field=1200, line=line)
    total = sum(item["sum"] for item in body["items"])
    paid = sum(body[name] for name in PAYMENT_FORMS.values())
    if not total == paid == body["totalSum"]:
        raise DocumentError("payments", field=1020, paid=paid, total=total)
    if {name: body[name] for name in VAT_TOTALS & set(body)} != vat.totals(body["items"]):
        raise DocumentError("vat_totals", field=1115)


def check_report(body: dict):
    """Nothing is missing in a document, and every field fits."""
    _check_required(body, body["code"])
    size = len(tlv.encode(body)) + ROOM_FOR_NUMBERS
    if size > tlv.LARGEST_DOCUMENT:
        raise DocumentError("size", field=body["code"], size=size, most=tlv.LARGEST_DOCUMENT)


def _check_required(fields, place):
    for tag in REQUIRED.get(place, []):
        if tag.name not in BY_REGISTER and fields.get(tag.name) in (None, "", []) or str(fields.get(tag.name)).isspace():
            raise DocumentError("missing", field=tag.number)
    for name, value in fields.items():
        tag = BY_NAME[place].get(name)
        if tag and tag.kind == "stlv":
            _check_structures(tag, value if isinstance(value, list) else [value])


def _check_structures(tag, values):
    for line, value in enumerate(values, 1):
        try:
            _check_required(value, tag.number)
        except DocumentError as error:
            if tag.number == ITEM:
                error.values["line"] = line
            raise
