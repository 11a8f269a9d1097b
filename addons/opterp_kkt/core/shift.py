"""Reports on a shift: its opening (2), its closing (5), and the counters that the closing states.

    signed documents of the shift ─ fold() ─ 1194 ─┬─────────── closing()
    1157 of the drive's last closing ────── add() ─┴─ 1157 ─────────┘

Counters are dicts by FNS JSON names, as they stand in 1194 and 1157. A correction counts twice: among all documents, and by
itself. 5, 7 and 22 % have no counters in the format: `fold_rates` keeps their sums beside the document.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce

from .correction import CORRECTION
from .ffd import FFD_1_2
from .rules import check_report
from .tags import BY_NAME
from .text import fit_texts

OPENING, CLOSING = 2, 5  # document codes
LONGEST = timedelta(hours=24)  # a register opens the next shift by itself then
LATE = timedelta(hours=23)  # people are told
LONGEST_SILENCE = timedelta(days=2)  # of the OFD, before reports say so (tag 1053)
COUNTERS = 1194
OPERATIONS = {1: "sellOper", 2: "sellReturnOper", 3: "buyOper", 4: "buyReturnOper"}
CORRECTIONS = {1: "sellCorrection", 2: "sellReturnCorrection", 3: "buyCorrection", 4: "buyReturnCorrection"}
SUMS = {
    "totalSum": "totalSum",
    "cashSum": "cashTotalSum",
    "ecashSum": "ecashTotalSum",
    "prepaidSum": "prepaidSum",
    "creditSum": "creditSum",
    "provisionSum": "provisionSum",
}
TAXES = {
    "tax18Sum": "nds18",
    "tax10Sum": "nds10",
    "tax18118Sum": "nds18118",
    "tax10110Sum": "nds10110",
    "tax0Sum": "nds0",
    "taxFreeSum": "ndsNo",
}


def opening(head: dict, silence: timedelta) -> dict:
    """Body of the report on a shift's opening, without what the register gives.

    :param head: who sells and where, by FNS JSON names; what reports don't state is left out
    :param silence: how long documents have waited for the OFD
    :raises DocumentError: what is missing
    """
    return _report(OPENING, head, silence, {})


def closing(head: dict, silence: timedelta, documents: int, counters: dict, drive_counters: dict, waiting: dict) -> dict:
    """Body of the report on a shift's closing.

    :param documents: how many the register has made in the shift, this one among them
    :param counters: of the shift, see `fold`
    :param drive_counters: of the drive, this shift among them
    :param waiting: what `undelivered` gives
    """
    return _report(
        CLOSING,
        head,
        silence,
        {
            "receiptQuantity": counters["totalReceiptBsoCount"],
            "documentsQuantity": documents,
            **waiting,
            "shiftSumReports": counters,
            "fiscalDriveSumReports": drive_counters,
        },
    )


def undelivered(count: int, since: datetime | None) -> dict:
    """Tags 1097 and 1098: how many documents the OFD has not acknowledged, and the day of the first, by the register's clock."""
    if not count:
        return {}
    day = (since.date() - datetime(1970, 1, 1).date()) // timedelta(seconds=1)
    return {"notTransmittedDocumentsQuantity": count, "notTransmittedDocumentsDateTime": day}


def _report(code, head, silence, fields):
    body = {
        "code": code,
        "fiscalDocumentFormatVer": FFD_1_2,
        **{name: value for name, value in head.items() if name in BY_NAME[code] and value},
        **fields,
        **({"ofdResponseTimeoutSign": 1} if silence > LONGEST_SILENCE else {}),
    }
    body = fit_texts(body)
    check_report(body)
    return body


# -- counters ------------------------------------------------------------------------------------------------------------------


def fold(documents: Iterable[dict]) -> dict:
    """The counters of signed documents with money."""
    return _in_order(reduce(_add, map(_count, documents), {"totalReceiptBsoCount": 0}), COUNTERS)


def add(counters: dict, others: dict) -> dict:
    """The counters of both."""
    return _in_order(_add(counters, others), COUNTERS)


def fold_rates(documents: Iterable[dict]) -> dict:
    """Kopecks of VAT by operation (tag 1054) and rate (tag 1199) of what the format's counters have no place for."""
    return reduce(_add, map(_count_rates, documents), {})


def _count(document):
    sums = {"receiptBsoCount": 1, **{name: document.get(field, 0) for name, field in SUMS.items()}}
    taxes = {name: document[field] for name, field in TAXES.items() if field in document}
    operation = document["operationType"]
    counted = {"totalReceiptBsoCount": 1, OPERATIONS[operation]: {**sums, **taxes}}
    if document["code"] == CORRECTION:
        counted["receiptCorrection"] = {"receiptCorrectionCount": 1, CORRECTIONS[operation]: sums}
    return counted


def _count_rates(document):
    stated = document.get("amountsReceiptNds", {}).get("amountsNds", [])
    return {str(document["operationType"]): {str(total["nds"]): total["ndsSum"] for total in stated}} if stated else {}


def _add(counters, others):
    return {name: _sum(counters.get(name), others.get(name)) for name in {**counters, **others}}


def _sum(one, other):
    if one is None or other is None:
        return other if one is None else one
    return _add(one, other) if isinstance(one, dict) else one + other


def _in_order(counters, place):
    """In the order of the format's tables."""
    return {
        name: _in_order(counters[name], tag.number) if tag.kind == "stlv" else counters[name]
        for name, tag in BY_NAME[place].items()
        if name in counters
    }
