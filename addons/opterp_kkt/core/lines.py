"""Lines of an order, on their way to become settlement items (tag 1059): discounts spread, prices to the kopeck."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from . import vat
from .document_error import DocumentError
from .rules import LARGEST
from .tlv import DECIMALS

PREPAYMENT, PART_PREPAYMENT, ADVANCE = 1, 2, 3  # tag 1214: paid before it is handed over
ADVANCES = {PREPAYMENT, PART_PREPAYMENT, ADVANCE}
FULL_SETTLEMENT, PART_CREDIT, CREDIT = 4, 5, 6
GOODS, PAYMENT = 1, 10  # tag 1212
MARKED = {30, 31, 32, 33}  # goods whose codes nothing here checks
PIECE, OTHER_MEASURE = 0, 255  # tag 2108


@dataclass(frozen=True)
class Item:
    """A line of an order, to become one or more settlement items (tag 1059). `total` in kopecks; a negative one is a discount."""

    name: str
    quantity: Decimal
    total: int
    vat_rate: int
    subject: int = GOODS
    measure: int = PIECE
    method: int = FULL_SETTLEMENT
    of_earlier_sale: bool = False  # a refund of it or its later payment: the rate may be one of then
    line: int = 0  # in the order, for what is said of errors

    @property
    def price(self) -> int:
        """Tag 1079: per unit, after discounts, to the nearest kopeck."""
        return int((Decimal(self.total) / self.quantity).to_integral_value())

    @property
    def stated_rate(self) -> int:
        """Tag 1199: an advance is at the calculated rate."""
        return vat.RATES[self.vat_rate].calculated if self.method in ADVANCES else self.vat_rate

    def split(self) -> list["Item"]:
        """Itself, or items for the same quantity and total: in each, price × quantity is the sum, or a kopeck less or more.

        Whole quantities become two items whose prices differ by a kopeck; what is more than two and not whole is cut into its
        whole part and the rest.
        """
        if abs(self.total - self.price * self.quantity) <= 1:
            return [self]
        whole, rest = divmod(self.quantity, 1)
        if rest:
            total = int((self.price * rest).to_integral_value())
            return [*replace(self, quantity=whole, total=self.total - total).split(), replace(self, quantity=rest, total=total)]
        price, dearer = divmod(self.total, int(whole))
        return [
            replace(self, quantity=Decimal(dearer), total=dearer * (price + 1)),
            replace(self, quantity=whole - dearer, total=(int(whole) - dearer) * price),
        ]

    def as_json(self) -> dict:
        tax = vat.amount(self.total, self.stated_rate)
        return {
            "name": self.name,
            "price": self.price,
            "quantity": int(self.quantity) if self.quantity == int(self.quantity) else float(self.quantity),
            "sum": self.total,
            "nds": self.stated_rate,
            **({} if tax is None else {"ndsSum": tax}),
            "paymentType": self.method,
            "productType": self.subject,
            "itemsQuantityMeasure": self.measure,
        }

    def check(self, day: date):
        """What can be wrong with a line by itself.

        :raises DocumentError: a quantity, a kind of goods or a VAT rate that a receipt of that day can't state
        """
        if self.total < 0:
            return  # a discount, which is no line of the document
        if self.quantity <= 0:
            raise self.error("quantity")
        if self.quantity.normalize().as_tuple().exponent < -DECIMALS:
            raise self.error("decimals", field=1023, most=DECIMALS)
        if abs(self.total) > LARGEST * self.quantity or self.quantity * 10**6 > LARGEST:
            raise self.error("too_large")
        if self.subject in MARKED:
            raise self.error("marked", field=1212)
        if self.vat_rate not in vat.RATES or not vat.valid_on(self.stated_rate, day, self.of_earlier_sale):
            raise self.error("vat_day", field=1199, rate=self.vat_rate, day=day)

    def error(self, code: str, **values) -> DocumentError:
        return DocumentError(code, line=self.line, name=self.name, **values)


def fit_items(items: list[Item], total: int) -> list[Item]:
    """The goods among the items, with their totals fitted to what was paid, to the kopeck.

    FFD 1.2 has no tag for discounts, nor for what Odoo's rounding of taxes or of cash leaves over: both lower the goods' totals.

    :param total: kopecks that the document is about (tag 1020)
    :raises DocumentError: discounts larger than the goods
    """
    goods = [item for item in items if item.total >= 0]
    gross = sum(item.total for item in goods)
    if not goods or total < 0 or (total and not gross):
        raise DocumentError("negative_total")
    for discount in items:
        if discount.total < 0:
            goods = _lower(goods, -discount.total, discount.vat_rate)
    return _lower(goods, sum(item.total for item in goods) - total)


def _lower(items, amount, vat_rate=None):
    """Items whose totals are `amount` less: goods at that rate, if they are worth so much, else all goods, else advances, too."""
    if not amount:
        return items
    for among in (
        lambda item: item.method not in ADVANCES and item.vat_rate == vat_rate,
        lambda item: item.method not in ADVANCES,
        lambda item: True,
    ):
        worth = sum(item.total for item in items if among(item))
        if worth and worth >= amount:
            return _spread(items, amount, worth, among)
    return items


def _spread(items, amount, worth, among):
    """In proportion to what each is worth."""
    result = []
    for item in items:
        share = amount * item.total // worth if worth and among(item) else 0
        if among(item):
            amount, worth = amount - share, worth - item.total
        result.append(replace(item, total=item.total - share))
    return result
