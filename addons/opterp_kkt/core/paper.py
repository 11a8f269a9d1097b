"""A fiscal document on paper: what the buyer gets, as lines of text, from the signed document alone.

    document ─ _receipt() or _report() ─> what stands there, in order ─ _wrapped() ─> lines no wider than the paper

A document with money is laid out as a receipt, any other as a report. Whatever a document has that is placed nowhere goes into
its lower part with its title, so that no requisite is lost. The till, the browser's print and `as_text` show the same lines.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from textwrap import wrap
from typing import NamedTuple

from . import captions
from .fiscal_data import TEST_DRIVES
from .lines import FULL_SETTLEMENT, GOODS, OTHER_MEASURE, PIECE
from .listing import readable
from .qr import qr_text
from .tags import BY_NAME, ITEM
from .text import fit_texts

WIDTHS = {"80": 48, "58": 32}  # paper in mm, columns of 1.5 mm: 72 and 48 mm are printed on
LAST = ("fnsUrl", "kktRegId", "fiscalDriveNumber", "fiscalDocumentNumber", "fiscalSign")
ELECTRONIC = {"code", "fiscalDocumentFormatVer", "internetSign", "internetPayment"}  # not on paper
PLACED = {
    "user",
    "retailPlaceAddress",
    "retailPlace",
    "userInn",
    "operationType",
    "shiftNumber",
    "requestNumber",
    "dateTime",
    "operator",
    "appliedTaxationType",
    "items",
    "totalSum",
    "amountsReceiptNds",
    *captions.PAYMENTS,
    *captions.VAT_TOTALS,
    *LAST,
    *ELECTRONIC,
}
PLACED_IN_ITEM = {"name", "price", "quantity", "sum", "nds", "ndsSum", "paymentType", "productType", "itemsQuantityMeasure"}
NO_RECEIPT = "Этот листок не является кассовым чеком."
NOTICES = {  # what stands on paper without a document: what happened, and what happens next
    "waiting": (
        "КАССОВЫЙ ЧЕК ЕЩЁ НЕ СФОРМИРОВАН",
        "Расчёт записан. Касса сформирует чек, как только сможет; напечатать его можно будет здесь же, в списке заказов.",
        NO_RECEIPT,
    ),
    "unbuilt": (
        "КАССОВЫЙ ЧЕК НЕ СФОРМИРОВАН",
        "Расчёт записан, но чек по нему не получился. Администратор магазина извещён: он устранит причину, и чек будет"
        " сформирован; напечатать его можно будет здесь же, в списке заказов.",
        NO_RECEIPT,
    ),
    "handled": (
        "КАССОВЫЙ ЧЕК НЕ СФОРМИРОВАН",
        "Расчёт записан. Как оформлен чек по нему, скажет администратор магазина.",
        NO_RECEIPT,
    ),
    "refused": (  # above the document
        "ОФД НЕ ПРИНЯЛ ЭТОТ ЧЕК",
        "Расчёт записан. Магазин исправит чек кассовым чеком коррекции.",
    ),
}


class Line(NamedTuple):
    text: str  # of a QR code what it says
    right: str = ""  # what stands in the same line at the right edge
    style: str = ""  # words out of: center, bold, copy; or rule, a line across, or qr


RULE = Line("", style="rule")


def render(document: dict, width: int, copy: bool = False, qr: str = "") -> list[Line]:
    """The lines of a signed document; of one that is still to be signed, to look at, without what the register gives.

    :param width: columns of the paper (a value of `WIDTHS`)
    :param copy: it was printed before
    :param qr: what the QR code says, where a register elsewhere has given it
    """
    document = fit_texts(document)
    rows = [*_receipt(document, copy, qr)] if "totalSum" in document else [*_report(document, copy)]
    return _laid_out(rows, width)


def render_x(state: dict, width: int, is_closed: bool = False) -> list[Line]:
    """The counters of a shift that goes on (X), or was closed without a report: laid out as one, and no document, as it says.

    :param state: what the closing would state now, without what would make it a document
    """
    state = fit_texts(state)
    what = captions.NO_DOCUMENT if is_closed else f"{captions.NO_DOCUMENT}, {captions.NOT_CLOSED}"
    rows = [*_head(state, False, captions.X_TITLE), Line(what, style="center bold"), *_body_of_report(state)]
    return _laid_out(rows, width)


def render_reference(rates: dict, cash_moves: list[tuple[str, int]], width: int) -> list[Line]:
    """What stands below a report on a shift and is no part of it: what the format has no place for.

    :param rates: kopecks of VAT by operation and rate, see `shift.fold_rates`
    :param cash_moves: cash put in and taken out, in kopecks, each with its reason; the law does not have them fiscalised
    """
    rows = [*_other_rates(rates), *_cash_moves(cash_moves)]
    rows = [RULE, Line(captions.FOR_REFERENCE, style="center bold"), *rows] if rows else []
    return _laid_out(rows, width)


def notice(kind: str, width: int, operation_type: int | None = None) -> list[Line]:
    """What stands on the paper instead of a document, or above one that the OFD refused."""
    title, *texts = NOTICES[kind]
    operation = [Line(captions.OPERATIONS[operation_type], style="center bold")] if operation_type else []
    rows = [RULE, Line(title, style="center bold"), *operation, *map(Line, texts), RULE]
    return _laid_out(rows, width)


def as_text(lines: list[Line], width: int) -> str:
    return "\n".join(text for line in lines for text in _as_text(line, width))


def is_test(document: dict) -> bool:
    return document.get("fiscalDriveNumber", "").startswith(TEST_DRIVES)


# -- what stands where ---------------------------------------------------------------------------------------------------------


def _head(document, copy, title=""):
    yield Line(document["user"], style="center bold")
    yield Line(document["retailPlaceAddress"], style="center")
    yield Line(f"МЕСТО РАСЧЕТОВ: {document['retailPlace']}", style="center")
    yield Line(f"ИНН {document['userInn'].strip()}", style="center")
    yield RULE
    if is_test(document):
        yield Line("ТЕСТ, не является фискальным документом", style="center bold")
    if "fiscalSign" not in document and not title:
        yield Line("ПРОЕКТ, НЕ ПОДПИСАН", style="center bold")
    if copy:
        yield Line("КОПИЯ", style="center bold copy")
    yield Line(title or captions.TITLES[document["code"]], style="center bold")


def _receipt(document, copy, qr):
    yield from _head(document, copy)
    yield Line(captions.OPERATIONS[document["operationType"]], style="center bold")
    yield from _occasion(document)
    yield Line("СНО", captions.taxation_system(document["appliedTaxationType"]))
    yield RULE
    for number, item in enumerate(document["items"], 1):
        yield from _item(number, item)
    yield RULE
    yield from _totals(document)
    yield RULE
    yield from _rest(document)
    yield from _last(document)
    if "fiscalSign" in document:
        yield Line(qr or qr_text(document, _moment(document)), style="qr")


def _report(document, copy):
    yield from _head(document, copy)
    yield from _body_of_report(document)


def _body_of_report(document):
    yield from _occasion(document)
    yield RULE
    yield from _rest(document)
    yield from _last(document)


def _other_rates(rates):
    if rates:
        yield Line(captions.OTHER_RATES)
    for operation, sums in sorted(rates.items()):
        yield Line(captions.OPERATIONS[int(operation)])
        for rate, amount in sorted(sums.items(), key=lambda each: int(each[0])):
            yield Line(f"  СУММА {captions.vat_name(int(rate))}", _roubles(amount))


def _cash_moves(moves):
    if moves:
        yield Line(captions.CASH_MOVES)
    for reason, amount in moves:
        what = captions.CASH_IN if amount > 0 else captions.CASH_OUT
        yield Line(f"  {what} {' '.join(reason.split())}".rstrip(), _roubles(abs(amount)))


def _occasion(document):
    shift, receipt = (document.get(name) for name in ("shiftNumber", "requestNumber"))  # documents of before have none
    if shift:
        yield Line(f"СМЕНА {shift}", f"{captions.NUMBERS[document['code']]} {receipt}" if receipt else "")
    if "dateTime" in document:
        yield Line(f"{_moment(document):%d.%m.%Y}", f"{_moment(document):%H:%M}")
    if document.get("operator"):
        yield Line("КАССИР", document["operator"])


def _item(number, item):
    measure = captions.MEASURES.get(item.get("itemsQuantityMeasure", PIECE), captions.MEASURES[OTHER_MEASURE])
    yield Line(f"{number}. {item['name']}" if item.get("name") else f"{number}.")
    yield Line(f"{item['quantity']:.15g} {measure} x {_roubles(item['price'])}", f"={_roubles(item['sum'])}")
    yield Line(captions.vat_name(item["nds"]), _roubles(item["ndsSum"]) if "ndsSum" in item else "")
    subject, method = item.get("productType", GOODS), item.get("paymentType", FULL_SETTLEMENT)
    yield Line(captions.SUBJECTS.get(subject, f"ПРЕДМЕТ РАСЧЕТА {subject}"), captions.METHODS.get(method, str(method)))
    yield from _fields({name: value for name, value in item.items() if name not in PLACED_IN_ITEM}, ITEM, 1)


def _totals(document):
    yield Line("ИТОГ", f"={_roubles(document['totalSum'])}", style="bold")
    paid = {name: caption for name, caption in captions.PAYMENTS.items() if document[name]}
    for name, caption in (paid or {"cashTotalSum": captions.PAYMENTS["cashTotalSum"]}).items():
        yield Line(caption, f"={_roubles(document[name])}")
    for name, caption in captions.VAT_TOTALS.items():
        if name in document:
            yield Line(caption, f"={_roubles(document[name])}")
    for total in document.get("amountsReceiptNds", {}).get("amountsNds", []):
        yield Line(f"СУММА {captions.vat_name(total['nds'])}", f"={_roubles(total['ndsSum'])}")


def _rest(document):
    left = {name: value for name, value in document.items() if name not in PLACED}
    yield from _fields(left, document["code"], 0)


def _last(document):
    yield from _fields({name: document[name] for name in LAST if name in document}, document["code"], 0)


def _fields(fields, place, depth):
    """Fields that have no place of their own: caption and value, structures indented."""
    indent = "  " * depth
    for name, value in fields.items():
        tag = BY_NAME[place][name]
        for each in value if tag.repeats else [value]:
            if tag.name == "properties":
                yield Line(each["propertyName"], each["propertyValue"])
            elif tag.kind == "stlv":
                yield Line(indent + _caption(tag, each))
                yield from _fields(each, tag.number, depth + 1)
            else:
                yield Line(indent + _caption(tag, each), _value(tag, each))


def _caption(tag, value):
    if tag.name == "buyerPhoneOrAddress":
        return "ЭЛ. АДР. ПОКУПАТЕЛЯ" if "@" in value else "ТЕЛ. ПОКУПАТЕЛЯ"
    return captions.CAPTIONS.get(tag.name, tag.title[:1].upper() + tag.title[1:])


def _value(tag, value):
    if tag.name == "correctionType":
        return captions.CORRECTIONS[value]
    if tag.name in ("correctionDocumentDate", "notTransmittedDocumentsDateTime"):
        return f"{datetime.fromtimestamp(value, UTC):%d.%m.%Y}"
    return readable(tag.kind, value)


def _roubles(kopecks):
    return readable("vln", kopecks)


def _moment(document):
    """The register's time: tag 1012 counts the seconds of its local time as if it were UTC."""
    return datetime.fromtimestamp(document["dateTime"], UTC)


# -- on a paper of some width --------------------------------------------------------------------------------------------------


def _laid_out(rows: list[Line], width: int) -> list[Line]:
    return [line for row in rows for line in ([row] if _fits(row, width) else _wrapped(row, width))]


def _fits(line: Line, width: int) -> bool:
    return line.style in ("rule", "qr") or len(line.text) <= _get_room(line, width)


def _get_room(line, width):
    """Columns beside what stands at the right edge."""
    return width - len(line.right) - 1 if line.right else width


def _wrapped(line: Line, width: int) -> Iterator[Line]:
    """Several lines that fit: a value that finds no room beside its caption stands below it."""
    *above, text = _cut(line.text, width)
    yield from (line._replace(text=each, right="") for each in above)
    if line.right and len(text) > _get_room(line, width):
        yield line._replace(text=text, right="")
        text = ""
    if len(line.right) <= width:
        yield line._replace(text=text)
        return
    yield from (line._replace(text="", right=each) for each in _cut(line.right, width))


def _cut(text, width):
    indent = " " * (len(text) - len(text.lstrip()))
    return wrap(
        text.strip(), width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True
    )


def _as_text(line, width):
    if line.style == "rule":
        return ["-" * width]
    if line.style == "qr":
        return ["", *wrap(f"QR: {line.text}", width)]
    if "center" in line.style:
        return [" " * ((width - len(line.text)) // 2) + line.text]
    return [(line.text + line.right.rjust(width - len(line.text))).rstrip()]
