"""What the till counts before payment is never more than what the document has: no sale is refused that fits."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

from core import tlv
from core.ffd import settlement
from core.inn import is_inn
from core.lines import Item
from core.rules import ROOM_FOR_NUMBERS

TILL = (Path(__file__).parents[2] / "opterp_kkt/static/src/app/utils/kkt_document.js").read_text()
HEAD = {
    "operator": "x",
    "user": "x",
    "userInn": "7702203276",
    "kktRegId": "0000000005008570",
    "retailPlaceAddress": "x",
    "retailPlace": "x",
    "appliedTaxationType": 1,
}


def constant(name):
    return int(re.search(rf"{name} = (\d+);", TILL)[1])


def size(count, name, total):
    items = [Item(name, Decimal(1), total, 6)] * count
    return len(tlv.encode(settlement(1, items, {"cash": total * count}, HEAD, date(2026, 11, 25)))) + ROOM_FOR_NUMBERS


def test_the_smallest_document():
    """A free article of one letter: two texts of the head have a letter, two amounts a byte."""
    one, two = size(1, "x", 0), size(2, "x", 0)
    assert two - one == constant("LEAST_ITEM") + 1
    assert 0 <= one - constant("LEAST_HEAD") - constant("LEAST_ITEM") - 1 <= 16
    assert constant("LARGEST_DOCUMENT") == tlv.LARGEST_DOCUMENT


def test_vectors_of_inn():
    assert all(map(is_inn, ["7702203276", "7700123459", "500100732259"]))
    assert not any(map(is_inn, ["7702203277", "500100732258", "500100732269", "0000000000", "123", "7702 203276", False]))
