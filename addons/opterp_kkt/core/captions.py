"""The law's words on fiscal paper (order ED-7-20/662@), by FNS JSON names. Paper is Russian, whoever reads it."""

from .vat import NOT_SUBJECT_TO_VAT, RATES

TITLES = {2: "ОТЧЕТ ОБ ОТКРЫТИИ СМЕНЫ", 3: "КАССОВЫЙ ЧЕК", 5: "ОТЧЕТ О ЗАКРЫТИИ СМЕНЫ", 31: "КАССОВЫЙ ЧЕК КОРРЕКЦИИ"}
X_TITLE = "X-ОТЧЕТ"
NO_DOCUMENT = "НЕ ЯВЛЯЕТСЯ ДОКУМЕНТОМ"
NOT_CLOSED = "СМЕНА НЕ ЗАКРЫТА"
FOR_REFERENCE = "СПРАВОЧНО, В ОТЧЕТ НЕ ВХОДИТ"
OTHER_RATES = "НДС ПО СТАВКАМ, ДЛЯ КОТОРЫХ В ОТЧЕТЕ НЕТ СЧЕТЧИКОВ:"
CASH_MOVES = "ВНЕСЕНИЯ И ВЫПЛАТЫ СЕАНСА:"
CASH_IN, CASH_OUT = "ВНЕСЕНИЕ", "ВЫПЛАТА"
NUMBERS = {3: "ЧЕК", 31: "ЧЕК КОР."}  # tag 1042
OPERATIONS = {1: "ПРИХОД", 2: "ВОЗВРАТ ПРИХОДА", 3: "РАСХОД", 4: "ВОЗВРАТ РАСХОДА"}  # tag 1054
TAXATION_SYSTEMS = {1: "ОСН", 2: "УСН доход", 4: "УСН доход-расход", 8: "ЕНВД", 16: "ЕСХН", 32: "Патент"}  # tag 1055, bits
METHODS = {  # tag 1214
    1: "ПРЕДОПЛАТА 100%",
    2: "ПРЕДОПЛАТА",
    3: "АВАНС",
    4: "ПОЛНЫЙ РАСЧЕТ",
    5: "ЧАСТИЧНЫЙ РАСЧЕТ И КРЕДИТ",
    6: "ПЕРЕДАЧА В КРЕДИТ",
    7: "ОПЛАТА КРЕДИТА",
}
SUBJECTS = {  # tag 1212
    1: "ТОВАР",
    2: "ПОДАКЦИЗНЫЙ ТОВАР",
    3: "РАБОТА",
    4: "УСЛУГА",
    5: "СТАВКА ИГРЫ",
    6: "ВЫИГРЫШ ИГРЫ",
    7: "ЛОТЕРЕЙНЫЙ БИЛЕТ",
    8: "ВЫИГРЫШ ЛОТЕРЕИ",
    9: "ПРЕДОСТАВЛЕНИЕ РИД",
    10: "ПЛАТЕЖ",
    11: "АГЕНТСКОЕ ВОЗНАГРАЖДЕНИЕ",
    12: "ВЫПЛАТА",
    13: "ИНОЙ ПРЕДМЕТ РАСЧЕТА",
    30: "АТНМ",
    31: "АТМ",
    32: "ТНМ",
    33: "ТМ",
}
MEASURES = {  # tag 2108
    0: "шт.",
    10: "г",
    11: "кг",
    12: "т",
    20: "см",
    21: "дм",
    22: "м",
    30: "кв. см",
    31: "кв. дм",
    32: "кв. м",
    40: "мл",
    41: "л",
    42: "куб. м",
    50: "кВт·ч",
    51: "Гкал",
    70: "сут.",
    71: "ч",
    72: "мин.",
    73: "с",
    80: "Кбайт",
    81: "Мбайт",
    82: "Гбайт",
    83: "Тбайт",
    255: "ед.",
}
CORRECTIONS = {0: "САМОСТОЯТЕЛЬНО", 1: "ПО ПРЕДПИСАНИЮ"}  # tag 1173
VAT_TOTALS = {
    "nds18": "СУММА НДС 20%",
    "nds10": "СУММА НДС 10%",
    "nds18118": "СУММА НДС 20/120",
    "nds10110": "СУММА НДС 10/110",
    "nds0": "СУММА С НДС 0%",
    "ndsNo": "СУММА БЕЗ НДС",
}
PAYMENTS = {
    "cashTotalSum": "НАЛИЧНЫМИ",
    "ecashTotalSum": "БЕЗНАЛИЧНЫМИ",
    "prepaidSum": "ПРЕДВАРИТЕЛЬНАЯ ОПЛАТА (АВАНС)",
    "creditSum": "ПОСЛЕДУЮЩАЯ ОПЛАТА (КРЕДИТ)",
    "provisionSum": "ИНАЯ ФОРМА ОПЛАТЫ",
}
CAPTIONS = {
    "userInn": "ИНН",
    "retailPlace": "МЕСТО РАСЧЕТОВ",
    "operator": "КАССИР",
    "operatorInn": "ИНН КАССИРА",
    "fnsUrl": "САЙТ ФНС",
    "machineNumber": "АВТОМАТ",
    "sellerAddress": "ЭЛ. АДР. ОТПРАВИТЕЛЯ",
    "kktRegId": "РН ККТ",
    "fiscalDriveNumber": "ФН",
    "fiscalDocumentNumber": "ФД",
    "fiscalSign": "ФП",
    "correctionType": "ТИП КОРРЕКЦИИ",
    "correctionBase": "ОСН. ДЛЯ КОРР.",
    "correctionDocumentDate": "ДАТА",
    "correctionDocumentNumber": "НОМЕР ПРЕДПИСАНИЯ",
    "propertiesData": "ДОП. РЕКВИЗИТ ЧЕКА",
    "buyer": "ПОКУПАТЕЛЬ",
    "buyerInn": "ИНН ПОКУПАТЕЛЯ",
    "kktVersion": "ВЕР. ККТ",
    "documentKktVersion": "ФФД ККТ",
    "receiptQuantity": "ЧЕКОВ ЗА СМЕНУ",
    "documentsQuantity": "ФД ЗА СМЕНУ",
    "notTransmittedDocumentsQuantity": "НЕПЕРЕДАННЫХ ФД",
    "notTransmittedDocumentsDateTime": "ФД НЕ ПЕРЕДАНЫ С",
    "fdKeyResource": "РЕСУРС КЛЮЧЕЙ",
    "shiftSumReports": "СЧЕТЧИКИ ИТОГОВ СМЕНЫ",
    "fiscalDriveSumReports": "СЧЕТЧИКИ ИТОГОВ ФН",
    "totalReceiptBsoCount": "ВСЕГО ЧЕКОВ",
    "sellOper": "ПРИХОД",
    "sellReturnOper": "ВОЗВРАТ ПРИХОДА",
    "buyOper": "РАСХОД",
    "buyReturnOper": "ВОЗВРАТ РАСХОДА",
    "receiptCorrection": "ЧЕКИ КОРРЕКЦИИ",
    "receiptCorrectionCount": "ЧЕКОВ КОРРЕКЦИИ",
    "sellCorrection": "ПРИХОД",
    "sellReturnCorrection": "ВОЗВРАТ ПРИХОДА",
    "buyCorrection": "РАСХОД",
    "buyReturnCorrection": "ВОЗВРАТ РАСХОДА",
    "receiptBsoCount": "КОЛ. ЧЕКОВ",
    "totalSum": "СУММА ВСЕГО",
    "cashSum": "СУММА НАЛИЧН.",
    "ecashSum": "СУММА БЕЗНАЛИЧ.",
    "prepaidSum": "СУММА АВАНС.",
    "creditSum": "СУММА КРЕДИТ.",
    "provisionSum": "СУММА ИНОЙ ФОРМОЙ",
    "tax18Sum": "СУММА НДС 20%",
    "tax10Sum": "СУММА НДС 10%",
    "tax18118Sum": "СУММА НДС 20/120",
    "tax10110Sum": "СУММА НДС 10/110",
    "tax0Sum": "ОБОРОТ С НДС 0%",
    "taxFreeSum": "ОБОРОТ БЕЗ НДС",
}


def vat_name(code: int) -> str:
    """Tag 1199."""
    if code == NOT_SUBJECT_TO_VAT:
        return "НДС не облагается"
    percent, calculated = RATES[code].percent, RATES[code].calculated == code
    return f"НДС {percent}/{100 + percent}" if percent and calculated else f"НДС {percent}%"


def taxation_system(bits: int) -> str:
    return ", ".join(name for bit, name in TAXATION_SYSTEMS.items() if bits & bit)
