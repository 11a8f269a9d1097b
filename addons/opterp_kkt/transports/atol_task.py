"""Our documents as tasks of the ATOL driver (JSON, driver 10): what a register on the counter is told to do.

Names and codes as in the driver's public documentation (`docs.zip` of atoldrv.ru, "JSON-задания") and in clients of it
(github.com/pbardov/node-atol-rpc). Not verified against a real register: the names of measures, of rates since 2025, and the two
attributes of a receipt. The register states by itself who it belongs to and where it stands.
"""

from datetime import UTC, datetime

from .base import Contents

OPERATIONS = {1: "sell", 2: "sellReturn", 3: "buy", 4: "buyReturn"}  # tag 1054
REPORTS = {"shift_open": "openShift", "shift_close": "closeShift"}
COMMANDS = {"report_x": "reportX", "copy": "printFnDocument", "cash_in": "cashIn", "cash_out": "cashOut"}
TAXATION = {1: "osn", 2: "usnIncome", 4: "usnIncomeOutcome", 16: "esn", 32: "patent"}  # tag 1055
PAYMENTS = {  # tags 1031, 1081, 1215, 1216, 1217
    "cashTotalSum": "cash",
    "ecashTotalSum": "electronically",
    "prepaidSum": "prepaid",
    "creditSum": "credit",
    "provisionSum": "other",
}
METHODS = {  # tag 1214
    1: "fullPrepayment", 2: "prepayment", 3: "advance", 4: "fullPayment", 5: "partialPayment", 6: "credit", 7: "creditPayment",
}  # fmt: skip
SUBJECTS = {  # tag 1212
    1: "commodity", 2: "excise", 3: "job", 4: "service", 5: "gamblingBet", 6: "gamblingPrize", 7: "lottery", 8: "lotteryPrize",
    9: "intellectualActivity", 10: "payment", 11: "agentCommission", 12: "pay", 13: "another",
}  # fmt: skip
RATES = {  # tag 1199
    1: "vat20", 2: "vat10", 3: "vat120", 4: "vat110", 5: "vat0", 6: "none", 7: "vat5", 8: "vat7", 9: "vat105", 10: "vat107",
    11: "vat22", 12: "vat122",
}  # fmt: skip
MEASURES = {  # tag 2108
    0: "piece", 10: "gram", 11: "kilogram", 12: "ton", 20: "centimeter", 21: "decimeter", 22: "meter", 30: "squareCentimeter",
    31: "squareDecimeter", 32: "squareMeter", 40: "milliliter", 41: "liter", 42: "cubicMeter", 50: "kilowattHour", 51: "gkal",
    70: "day", 71: "hour", 72: "minute", 73: "second", 80: "kilobyte", 81: "megabyte", 82: "gigabyte", 83: "terabyte",
    255: "otherUnits",
}  # fmt: skip
CORRECTION_TYPES = {0: "self", 1: "instruction"}  # tag 1173


def to_task(contents: Contents) -> dict:
    """The task for a document; KeyError for what the driver has no name for."""
    document = contents.document
    if contents.document_type in REPORTS:
        return {"type": REPORTS[contents.document_type], **_get_cashier(document)}
    correction = contents.document_type == "correction"
    return {
        "type": OPERATIONS[document["operationType"]] + ("Correction" if correction else ""),
        **_get_cashier(document),
        "taxationType": TAXATION[document["appliedTaxationType"]],
        **(_get_correction(document) if correction else {}),
        **_get_buyer(document),
        **({} if contents.on_paper else {"electronically": True}),
        "items": [*map(_get_position, document["items"]), *_get_attributes(document)],
        "payments": [{"type": name, "sum": to_roubles(document[field])} for field, name in PAYMENTS.items() if document[field]]
        or [{"type": "cash", "sum": 0}],
        "total": to_roubles(document["totalSum"]),
    }


def to_command(name: str, cashier: str = "", kopecks: int = 0, fd_number: int = 0) -> dict:
    """The task for what is no document: names as in `Transport.commands`."""
    return {
        "type": COMMANDS[name],
        **_get_cashier({"operator": cashier}),
        **({"cashSum": to_roubles(kopecks)} if kopecks else {}),
        **({"fiscalDocumentNumber": fd_number} if fd_number else {}),
    }


def closing_before(task: dict) -> dict:
    """The task that closes a shift of more than 24 hours for this one; the register opens the next by itself."""
    return {"type": REPORTS["shift_close"], **({"operator": task["operator"]} if "operator" in task else {})}


def to_roubles(kopecks: int) -> float:
    """As JSON states it: the shortest decimal that is these kopecks, for any sum that a receipt can state."""
    return kopecks / 100 if kopecks % 100 else kopecks // 100


def _get_cashier(document):
    name, inn = document.get("operator"), (document.get("operatorInn") or "").strip()
    return {"operator": {"name": name, **({"vatin": inn} if inn else {})}} if name else {}


def _get_buyer(document):
    contact = document.get("buyerPhoneOrAddress")
    return {"clientInfo": {"emailOrPhone": contact}} if contact else {}


def _get_position(item):
    return {
        "type": "position",
        "name": item["name"],
        "price": to_roubles(item["price"]),
        "quantity": item["quantity"],
        "amount": to_roubles(item["sum"]),
        "measurementUnit": MEASURES[item["itemsQuantityMeasure"]],
        "paymentMethod": METHODS[item["paymentType"]],
        "paymentObject": SUBJECTS[item["productType"]],
        "tax": {"type": RATES[item["nds"]], **({"sum": to_roubles(item["ndsSum"])} if "ndsSum" in item else {})},
    }


def _get_attributes(document):
    """Tags 1192 and 1084."""
    if value := document.get("propertiesData"):
        yield {"type": "additionalAttribute", "value": value, "print": True}
    if attribute := document.get("properties"):
        named = {"name": attribute["propertyName"], "value": attribute["propertyValue"]}
        yield {"type": "userAttribute", **named, "print": True}


def get_requisites(document: dict, receipt: str, user: str) -> dict:
    """Tags 1192 and 1084 under the names that a service in the cloud has for them."""
    attribute = document.get("properties")
    named = attribute and {"name": attribute["propertyName"], "value": attribute["propertyValue"]}
    return {
        **({receipt: document["propertiesData"]} if document.get("propertiesData") else {}),
        **({user: named} if named else {}),
    }


def get_correction_base(document: dict) -> tuple[datetime, str | None]:
    """Tags 1178 and 1179: the day that is corrected, and the order's number, if any."""
    base = document["correctionBase"]
    day = datetime.fromtimestamp(base["correctionDocumentDate"], UTC)  # the register's local day, counted as if it were UTC
    return day, base.get("correctionDocumentNumber")


def _get_correction(document):
    day, number = get_correction_base(document)
    return {
        "correctionType": CORRECTION_TYPES[document["correctionType"]],
        "correctionBaseDate": f"{day:%Y.%m.%d}",
        **({"correctionBaseNumber": number} if number else {}),
    }
