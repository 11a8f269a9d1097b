"""Any document on paper: every mandatory requisite stands on it, and nothing is wider than it."""

import re
from datetime import datetime
from decimal import Decimal

from core import paper
from core.lines import Item
from core.qr import moment_of, qr_text
from core.tags import REQUIRED
from core.text import fit
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.test_ffd import BASKETS, baskets
from unit.test_paper import MOMENT, receipt

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1).filter(lambda name: fit(name, 128))
SYSTEMS = {1: "ОСН", 2: "УСН доход", 4: "УСН доход-расход", 16: "ЕСХН", 32: "Патент"}
SHOWN = {  # how a mandatory requisite of a receipt is said; one that is for machines alone is None
    1209: None,
    1048: lambda d: d["user"],
    1018: lambda d: f"ИНН {d['userInn'].strip()}",
    1042: lambda d: f"ЧЕК {d['requestNumber']}",
    1012: lambda d: "24.11.2026 14:05",
    1038: lambda d: f"СМЕНА {d['shiftNumber']}",
    1054: lambda d: {1: "ПРИХОД", 2: "ВОЗВРАТ ПРИХОДА"}[d["operationType"]],
    1055: lambda d: f"СНО {SYSTEMS[d['appliedTaxationType']]}",
    1037: lambda d: f"РН ККТ {d['kktRegId'].strip()}",
    1009: lambda d: d["retailPlaceAddress"],
    1187: lambda d: f"МЕСТО РАСЧЕТОВ: {d['retailPlace']}",
    1020: lambda d: f"ИТОГ ={roubles(d['totalSum'])}",
    1031: lambda d: form(d, "НАЛИЧНЫМИ", "cashTotalSum"),
    1081: lambda d: form(d, "БЕЗНАЛИЧНЫМИ", "ecashTotalSum"),
    1215: lambda d: form(d, "ПРЕДВАРИТЕЛЬНАЯ ОПЛАТА (АВАНС)", "prepaidSum"),
    1216: lambda d: form(d, "ПОСЛЕДУЮЩАЯ ОПЛАТА (КРЕДИТ)", "creditSum"),
    1217: lambda d: form(d, "ИНАЯ ФОРМА ОПЛАТЫ", "provisionSum"),
    1040: lambda d: f"ФД {d['fiscalDocumentNumber']}",
    1041: lambda d: f"ФН {d['fiscalDriveNumber']}",
    1077: lambda d: f"ФП {d['fiscalSign']}",
    1059: lambda d: None,  # see `shown_of_item`
}
RATES = {
    2: "НДС 10%",
    4: "НДС 10/110",
    5: "НДС 0%",
    6: "НДС не облагается",
    7: "НДС 5%",
    8: "НДС 7%",
    9: "НДС 5/105",
    10: "НДС 7/107",
    11: "НДС 22%",
    12: "НДС 22/122",
}
TOTALS = {"nds10": "СУММА НДС 10%", "nds10110": "СУММА НДС 10/110", "nds0": "СУММА С НДС 0%", "ndsNo": "СУММА БЕЗ НДС"}


def roubles(kopecks):
    return f"{Decimal(kopecks) / 100:.2f}"


def form(document, caption, name):
    return document[name] and f"{caption} ={roubles(document[name])}"


def shown_of_item(i):
    tax = f"{RATES[i['nds']]} {roubles(i['ndsSum'])}" if "ndsSum" in i else RATES[i["nds"]]
    return [i["name"], f"x {roubles(i['price'])} ={roubles(i['sum'])}", tax, "ТОВАР ПОЛНЫЙ РАСЧЕТ"]


def shown_totals(d):
    others = d.get("amountsReceiptNds", {"amountsNds": []})["amountsNds"]
    return [f"{caption} ={roubles(d[name])}" for name, caption in TOTALS.items() if name in d] + [
        f"СУММА {RATES[other['nds']]} ={roubles(other['ndsSum'])}" for other in others
    ]


@settings(max_examples=BASKETS, database=None)
@given(
    baskets().filter(lambda basket: not basket[1].get("credit")),
    st.lists(names, min_size=9, max_size=9),
    names,
    names,
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2, 4, 16, 32]),
    st.sampled_from([48, 32]),
    st.booleans(),
)
def test_every_requisite_is_on_every_paper(basket, goods, user, place, operation_type, taxation_system, width, copy):
    items, paid, _total = basket
    items = [Item(**{**vars(i), "name": name}) for i, name in zip(items, goods, strict=False)]
    document = receipt(
        items,
        paid,
        operation_type,
        user=user,
        retailPlace=place,
        retailPlaceAddress=place,
        operator=user,
        appliedTaxationType=taxation_system,
    )
    printed = paper.render(document, width, copy=copy)
    texts = [f"{line.text} {line.right}".strip() for line in printed if line.style != "qr"]
    assert max(map(len, texts)) <= width
    squeezed = squeeze(texts)
    assert {tag.number for tag in REQUIRED[3]} == SHOWN.keys()
    required = [show(document) for show in SHOWN.values() if show]
    of_items = [shown for i in document["items"] for shown in shown_of_item(i)]
    always = ["КАССОВЫЙ ЧЕК", "ТЕСТ, не является фискальным документом", "САЙТ ФНС www.nalog.gov.ru"]
    for shown in [*required, *of_items, *shown_totals(document), *always]:
        assert not shown or squeeze([shown]) in squeezed, shown
    assert copy == any(line.text == "КОПИЯ" for line in printed)
    assert [line.text for line in printed if line.style == "qr"] == [qr_text(document, MOMENT)]
    assert max(map(len, paper.as_text(printed, width).splitlines())) <= width


def squeeze(parts):
    """Without spaces and line ends: a name may be wrapped anywhere, but nothing else comes between its letters."""
    return re.sub(r"\s", "", "".join(parts))


def test_the_time_of_a_qr_code():
    assert moment_of("t=20181022T1936&s=0.01&fn=9999078900001341&i=5548&fp=787980846&n=1") == datetime(2018, 10, 22, 19, 36)
    assert moment_of("t=20181022T193607&s=0.01") == datetime(2018, 10, 22, 19, 36, 7)
    assert [moment_of(text) for text in ("", "t=…&n=1", "t=20189922T1936", "s=0.01")] == [None] * 4
