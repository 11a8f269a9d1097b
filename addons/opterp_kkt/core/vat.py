"""VAT on fiscal receipts (tag 1199): what each code means, on which days, and the amounts that follow from it. Kopecks."""

from datetime import date
from typing import NamedTuple

VAT_0, NOT_SUBJECT_TO_VAT = 5, 6
EVER = date.max


class Rate(NamedTuple):
    """A code of tag 1199. VAT is percent / (100 + percent) of a sum, for common and calculated rates alike."""

    percent: int  # 0: no amount is stated
    first_day: date  # in an ordinary receipt
    last_day: date
    total: str | None  # the field of the receipt's own sum; None: one of many in 1115
    calculated: int  # the code that an advance states


RATES = {
    1: Rate(20, date(2019, 1, 1), date(2025, 12, 31), "nds18", 3),
    2: Rate(10, date(2019, 1, 1), EVER, "nds10", 4),
    3: Rate(20, date(2019, 1, 1), date(2025, 12, 31), "nds18118", 3),
    4: Rate(10, date(2019, 1, 1), EVER, "nds10110", 4),
    VAT_0: Rate(0, date(2019, 1, 1), EVER, "nds0", VAT_0),
    NOT_SUBJECT_TO_VAT: Rate(0, date(2019, 1, 1), EVER, "ndsNo", NOT_SUBJECT_TO_VAT),
    7: Rate(5, date(2025, 1, 1), EVER, None, 9),
    8: Rate(7, date(2025, 1, 1), EVER, None, 10),
    9: Rate(5, date(2025, 1, 1), EVER, None, 9),
    10: Rate(7, date(2025, 1, 1), EVER, None, 10),
    11: Rate(22, date(2026, 1, 1), EVER, None, 12),
    12: Rate(22, date(2026, 1, 1), EVER, None, 12),
}


def valid_on(code: int, day: date, of_earlier_sale: bool = False) -> bool:
    """Whether a receipt of that day may state the code.

    :param of_earlier_sale: a refund of what was sold before, or its later payment; it keeps the rate of then
    """
    rate = RATES.get(code)
    return bool(rate) and rate.first_day <= day and (of_earlier_sale or day <= rate.last_day)


def ordinary(day: date) -> list[int]:
    """The codes that prices of that day have, not those of what is calculated from an advance."""
    return [code for code, rate in RATES.items() if valid_on(code, day) and (not rate.percent or rate.calculated != code)]


def amount(total: int, code: int) -> int | None:
    """Tag 1200: the VAT in a sum, half a kopeck up; None where the code has none."""
    percent = RATES[code].percent
    return (2 * total * percent + 100 + percent) // (2 * (100 + percent)) if percent else None


def totals(items: list[dict]) -> dict:
    """A receipt's VAT by FNS JSON names: the sums of what its items (tag 1059) state.

    Without VAT the *prices* are summed (1104, 1105), and stated whenever there is such a line; a VAT of nothing is left out.
    """
    sums = {}
    for item in items:
        sums[item["nds"]] = sums.get(item["nds"], 0) + item.get("ndsSum", 0 if RATES[item["nds"]].percent else item["sum"])
    stated = {code: sums[code] for code in sorted(sums) if sums[code] or not RATES[code].percent}
    own = {RATES[code].total: total for code, total in stated.items() if RATES[code].total}
    others = [{"nds": code, "ndsSum": total} for code, total in stated.items() if not RATES[code].total]
    return {**own, **({"amountsReceiptNds": {"amountsNds": others}} if others else {})}
