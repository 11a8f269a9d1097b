"""Documents on paper: whole receipts, written by hand."""

from calendar import timegm
from datetime import date, datetime
from decimal import Decimal

import pytest
from core import paper
from core.ffd import settlement
from core.lines import Item
from unit.test_ffd import HEAD, number

MOMENT = datetime(2026, 11, 24, 14, 5, 7)
NUMBERS = {"shiftNumber": 3, "requestNumber": 7, "fiscalDriveNumber": "9999078900001341", "fiscalDocumentNumber": 42}
FRAME = "Оправа корригирующая Ray-Ban RX5154 Clubmaster 2000, чёрная с золотом, 51-21"


def item(name, total, quantity="1", vat_rate=6, **values):
    return Item(name, Decimal(quantity), total, vat_rate, **values)


def receipt(items, paid, operation_type=1, **head):
    """A signed document; its fiscal sign is set, so that expected paper can be written by hand."""
    body = settlement(operation_type, items, paid, {**HEAD, **head}, MOMENT.date())
    return {**number(body, MOMENT, **NUMBERS), "fiscalSign": 1234567890}


def text(document, width, **values):
    return paper.as_text(paper.render(document, width, **values), width)


def lines(expected):
    """Expected paper as it stands in the test."""
    return expected.strip("\n")


def test_sale_of_exempt_and_taxed_goods():
    items = [
        item("Оправа «Нева»", 890000),
        item("Раствор", 169980, "2", 11),
        item("Цепочка", 30000, "1.5", 2, measure=22),
        item("Проверка зрения", 150000, subject=4),
    ]
    document = receipt(items, {"cash": 500000, "ecash": 739980}, buyerPhoneOrAddress="ivan@example.com")
    assert text(document, 48) == lines("""
                  ООО "Оптика"
            Москва, Тверская ул., 1
         МЕСТО РАСЧЕТОВ: Оптика - Нева
                 ИНН 7700123459
------------------------------------------------
    ТЕСТ, не является фискальным документом
                  КАССОВЫЙ ЧЕК
                     ПРИХОД
СМЕНА 3                                    ЧЕК 7
24.11.2026                                 14:05
КАССИР                                      Анна
СНО                                          ОСН
------------------------------------------------
1. Оправа "Нева"
1 шт. x 8900.00                         =8900.00
НДС не облагается
ТОВАР                              ПОЛНЫЙ РАСЧЕТ
2. Раствор
2 шт. x 849.90                          =1699.80
НДС 22%                                   306.52
ТОВАР                              ПОЛНЫЙ РАСЧЕТ
3. Цепочка
1.5 м x 200.00                           =300.00
НДС 10%                                    27.27
ТОВАР                              ПОЛНЫЙ РАСЧЕТ
4. Проверка зрения
1 шт. x 1500.00                         =1500.00
НДС не облагается
УСЛУГА                             ПОЛНЫЙ РАСЧЕТ
------------------------------------------------
ИТОГ                                   =12399.80
НАЛИЧНЫМИ                               =5000.00
БЕЗНАЛИЧНЫМИ                            =7399.80
СУММА НДС 10%                             =27.27
СУММА БЕЗ НДС                          =10400.00
СУММА НДС 22%                            =306.52
------------------------------------------------
ЭЛ. АДР. ПОКУПАТЕЛЯ             ivan@example.com
САЙТ ФНС                        www.nalog.gov.ru
РН ККТ                          0000000001012345
ФН                              9999078900001341
ФД                                            42
ФП                                    1234567890

QR: t=20261124T1405&s=12399.80&fn=99990789000013
41&i=42&fp=1234567890&n=1
""")


def test_refund_is_positive_and_says_so_on_58_mm():
    document = receipt([item(FRAME, 890000)], {"ecash": 890000}, operation_type=2)
    assert text(document, 32, copy=True) == lines("""
          ООО "Оптика"
    Москва, Тверская ул., 1
 МЕСТО РАСЧЕТОВ: Оптика - Нева
         ИНН 7700123459
--------------------------------
  ТЕСТ, не является фискальным
           документом
             КОПИЯ
          КАССОВЫЙ ЧЕК
        ВОЗВРАТ ПРИХОДА
СМЕНА 3                    ЧЕК 7
24.11.2026                 14:05
КАССИР                      Анна
СНО                          ОСН
--------------------------------
1. Оправа корригирующая Ray-Ban
RX5154 Clubmaster 2000, чёрная с
золотом, 51-21
1 шт. x 8900.00         =8900.00
НДС не облагается
ТОВАР              ПОЛНЫЙ РАСЧЕТ
--------------------------------
ИТОГ                    =8900.00
БЕЗНАЛИЧНЫМИ            =8900.00
СУММА БЕЗ НДС           =8900.00
--------------------------------
САЙТ ФНС        www.nalog.gov.ru
РН ККТ          0000000001012345
ФН              9999078900001341
ФД                            42
ФП                    1234567890

QR: t=20261124T1405&s=8900.00&fn
=9999078900001341&i=42&fp=123456
7890&n=2
""")


def test_advance_and_its_settlement_on_58_mm():
    """What finds no room beside its caption stands below it."""
    advance = receipt([item("Аванс", 300000, vat_rate=11, subject=10, method=3)], {"cash": 300000})
    assert lines("""
1. Аванс
1 шт. x 3000.00         =3000.00
НДС 22/122                540.98
ПЛАТЕЖ                     АВАНС
--------------------------------
ИТОГ                    =3000.00
НАЛИЧНЫМИ               =3000.00
СУММА НДС 22/122         =540.98
--------------------------------
""") in text(advance, 32)
    glasses = receipt(
        [item("Очки", 1000000)], {"prepaid": 300000, "credit": 700000}, operator="Константинопольская-Задунайская А. Ю."
    )
    stated = text(glasses, 32)
    assert (
        lines("""
КАССИР
 Константинопольская-Задунайская
                           А. Ю.
СНО                          ОСН
""")
        in stated
    )
    assert (
        lines("""
1. Очки
1 шт. x 10000.00       =10000.00
НДС не облагается
ТОВАР  ЧАСТИЧНЫЙ РАСЧЕТ И КРЕДИТ
--------------------------------
ИТОГ                   =10000.00
ПРЕДВАРИТЕЛЬНАЯ ОПЛАТА (АВАНС)
                        =3000.00
ПОСЛЕДУЮЩАЯ ОПЛАТА (КРЕДИТ)
                        =7000.00
СУММА БЕЗ НДС          =10000.00
--------------------------------
""")
        in stated
    )


def test_nothing_to_pay_is_said():
    document = receipt([item("Подарок", 0)], {"cash": 0})
    assert "ИТОГ                       =0.00\nНАЛИЧНЫМИ                  =0.00" in text(document, 32)


def test_a_word_longer_than_the_paper_is_cut():
    document = receipt([item("Щ" * 70, 100)], {"cash": 100})
    assert f"1. {'Щ' * 29}\n{'Щ' * 32}\n{'Щ' * 9}\n1 шт." in text(document, 32)


def test_a_real_drive_is_no_test():
    document = receipt([item("Очки", 100)], {"cash": 100}) | {"fiscalDriveNumber": "7281440500001341"}
    assert "ТЕСТ" not in text(document, 48)


def test_the_shops_own_requisites():
    own = {"propertyName": "Лицензия", "propertyValue": "ЛО-77"}
    document = receipt([item("Очки", 100)], {"cash": 100}, propertiesData="АБ-12", properties=own)
    assert lines("""
ДОП. РЕКВИЗИТ ЧЕКА         АБ-12
Лицензия                   ЛО-77
САЙТ ФНС        www.nalog.gov.ru
""") in text(document, 32)


def test_correction_states_its_base():
    day = timegm(date(2026, 11, 20).timetuple())
    document = receipt([item("Очки", 100)], {"cash": 100}, propertiesData="2853205313") | {
        "code": 31,
        "correctionType": 1,
        "correctionBase": {"correctionDocumentDate": day, "correctionDocumentNumber": "12-34/5"},
    }
    assert "КАССОВЫЙ ЧЕК КОРРЕКЦИИ\n" in text(document, 32)
    assert lines("""
ДОП. РЕКВИЗИТ ЧЕКА    2853205313
ТИП КОРРЕКЦИИ     ПО ПРЕДПИСАНИЮ
ОСН. ДЛЯ КОРР.
  ДАТА                20.11.2026
  НОМЕР ПРЕДПИСАНИЯ      12-34/5
САЙТ ФНС        www.nalog.gov.ru
""") in text(document, 32)


def test_shift_reports_have_no_sums_and_no_code():
    document = {
        "code": 5,
        "fiscalDocumentFormatVer": 4,
        "user": "ООО «Оптика»",
        "userInn": "7700123459  ",
        "operator": "Анна",
        "retailPlaceAddress": "Москва",
        "retailPlace": "Оптика",
        "dateTime": timegm(MOMENT.timetuple()),
        "shiftNumber": 3,
        "kktRegId": "0000000001012345    ",
        "receiptQuantity": 2,
        "documentsQuantity": 4,
        "notTransmittedDocumentsQuantity": 1,
        "notTransmittedDocumentsDateTime": timegm(MOMENT.timetuple()),
        "fdKeyResource": 400,
        "shiftSumReports": {"totalReceiptBsoCount": 2, "sellOper": {"receiptBsoCount": 2, "totalSum": 1059980, "cashSum": 59980}},
        "fiscalDriveNumber": "9999078900001341",
        "fiscalDocumentNumber": 44,
        "fiscalSign": 5,
    }
    assert text(document, 48) == lines("""
                  ООО "Оптика"
                     Москва
             МЕСТО РАСЧЕТОВ: Оптика
                 ИНН 7700123459
------------------------------------------------
    ТЕСТ, не является фискальным документом
             ОТЧЕТ О ЗАКРЫТИИ СМЕНЫ
СМЕНА 3
24.11.2026                                 14:05
КАССИР                                      Анна
------------------------------------------------
ЧЕКОВ ЗА СМЕНУ                                 2
ФД ЗА СМЕНУ                                    4
НЕПЕРЕДАННЫХ ФД                                1
ФД НЕ ПЕРЕДАНЫ С                      24.11.2026
РЕСУРС КЛЮЧЕЙ                                400
СЧЕТЧИКИ ИТОГОВ СМЕНЫ
  ВСЕГО ЧЕКОВ                                  2
  ПРИХОД
    КОЛ. ЧЕКОВ                                 2
    СУММА ВСЕГО                         10599.80
    СУММА НАЛИЧН.                         599.80
РН ККТ                          0000000001012345
ФН                              9999078900001341
ФД                                            44
ФП                                             5
""")


def test_paper_without_a_document():
    assert paper.as_text(paper.notice("unbuilt", 32, 2), 32) == lines("""
--------------------------------
  КАССОВЫЙ ЧЕК НЕ СФОРМИРОВАН
        ВОЗВРАТ ПРИХОДА
Расчёт записан, но чек по нему
не получился. Администратор
магазина извещён: он устранит
причину, и чек будет
сформирован; напечатать его
можно будет здесь же, в списке
заказов.
Этот листок не является кассовым
чеком.
--------------------------------
""")


def test_documents_of_before():
    """They had fewer fields."""
    document = receipt([item("Очки", 100)], {"cash": 100})
    later = {"shiftNumber", "requestNumber", "fnsUrl", "ndsNo"}
    before = {name: value for name, value in document.items() if name not in later}
    for name in ("paymentType", "productType", "itemsQuantityMeasure"):
        del before["items"][0][name]
    assert "СМЕНА" not in text(before, 48)
    assert lines("""
1 шт. x 1.00               =1.00
НДС не облагается
ТОВАР              ПОЛНЫЙ РАСЧЕТ
""") in text(before, 32)


@pytest.mark.parametrize("kind", paper.NOTICES)
@pytest.mark.parametrize("width", paper.WIDTHS.values())
def test_notices_fit(kind, width):
    assert all(len(line.text) <= width for line in paper.notice(kind, width, 1))
