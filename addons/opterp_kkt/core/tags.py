"""The tags of fiscal documents (FFD 1.2, order ED-7-20/662@): the one table that encoder, decoder and validation read.

A tag's name is its FNS JSON name within the document or the structure where it stands: 1120 and 1200 are both `ndsSum`. Kinds:

    uint    little-endian, exactly so many bytes      string  CP866, up to so many bytes
    time    seconds since 1970 of the local time      fixed   CP866, padded with spaces to so many bytes
    vln     money: little-endian, as few bytes as do  sign    tag 1077, six bytes
    fvln    a quantity: decimals, then a VLN          stlv    a structure of other tags

`*` marks what may stand there several times, a dash what has no length of its own (not known: see 1133), `!` in the fourth column
where our documents must have the tag. The places are documents (2 shift opening, 3 receipt, 5 shift closing, 31 correction, 7 the
OFD's acknowledgement) and structures.
"""

from typing import NamedTuple

ITEM = 1059
VAT_TOTAL = 1119

TABLE = """
1209 fiscalDocumentFormatVer          uint   1    2!,3!,5!,31!    номер версии ФФД
1048 user                             string 256  2!,3!,5!,31!    наименование пользователя
1018 userInn                          fixed  12   2!,3!,5!,31!    ИНН пользователя
1042 requestNumber                    uint   4    3!,31!          номер чека за смену
1012 dateTime                         time   4    2!,3!,5!,7!,31! дата, время
1038 shiftNumber                      uint   4    2!,3!,5!,31!    номер смены
1054 operationType                    uint   1    3!,31!          признак расчёта
1055 appliedTaxationType              uint   1    3!,31!          применяемая система налогообложения
1021 operator                         string 64   2,3,5,31        кассир
1203 operatorInn                      fixed  12   2,3,5,31        ИНН кассира
1037 kktRegId                         fixed  20   2!,3!,5!,31!    регистрационный номер ККТ
1036 machineNumber                    string 20   3,31            номер автомата
1009 retailPlaceAddress               string 256  2!,3!,5!,31!    адрес расчётов
1187 retailPlace                      string 256  2!,3!,5!,31!    место расчётов
1008 buyerPhoneOrAddress              string 64   3,31            телефон или электронный адрес покупателя
1117 sellerAddress                    string 64   3,31            адрес электронной почты отправителя чека
1060 fnsUrl                           string 256  3,31            адрес сайта ФНС
1108 internetSign                     uint   1    3,31            признак ККТ для расчётов только в Интернет
1125 internetPayment                  uint   1    3,31            признак расчёта в «Интернет»
1192 propertiesData                   string 16   3,31            дополнительный реквизит чека
1084 properties                       stlv   320  3,31            дополнительный реквизит пользователя
1085 propertyName                     string 64   1084!           наименование дополнительного реквизита пользователя
1086 propertyValue                    string 256  1084!           значение дополнительного реквизита пользователя
1256 buyerInformation                 stlv   1024 3,31            сведения о покупателе
1227 buyer                            string 256  1256            покупатель
1228 buyerInn                         fixed  12   1256            ИНН покупателя
1173 correctionType                   uint   1    31!             тип коррекции
1174 correctionBase                   stlv   292  31!             основание для коррекции
1178 correctionDocumentDate           time   4    1174!           дата корректируемого расчёта
1179 correctionDocumentNumber         string 32   1174            номер предписания налогового органа

1059 items                            stlv*  1024 3!,31!          предмет расчёта
1030 name                             string 128  1059!           наименование предмета расчёта
1079 price                            vln    6    1059!           цена за единицу предмета расчёта
1023 quantity                         fvln   8    1059!           количество предмета расчёта
1043 sum                              vln    6    1059!           стоимость предмета расчёта
1199 nds                              uint   1    1059!,1119!     ставка НДС
1200 ndsSum                           vln    6    1059            сумма НДС за предмет расчёта
1198 unitNds                          vln    6    1059            размер НДС за единицу предмета расчёта
1214 paymentType                      uint   1    1059!           признак способа расчёта
1212 productType                      uint   1    1059!           признак предмета расчёта
2108 itemsQuantityMeasure             uint   1    1059!           мера количества предмета расчёта
1191 propertiesItem                   string 64   1059            дополнительный реквизит предмета расчёта
1229 exciseDuty                       vln    6    1059            акциз
1230 originCountryCode                fixed  3    1059            код страны происхождения товара
1231 customEntryNum                   string 32   1059            номер декларации на товар
1222 paymentAgentByProductType        uint   1    1059            признак агента по предмету расчёта
1226 providerInn                      fixed  12   1059            ИНН поставщика
2102 labelCodeProcesMode              uint   1    1059            режим обработки кода маркировки
2106 checkingProdInformationResult    uint   1    1059            результат проверки сведений о товаре
1260 itemsIndustryDetails             stlv*  317  1059            отраслевой реквизит предмета расчёта
1261 industryReceiptDetails           stlv*  317  3,31            отраслевой реквизит чека
1262 idFoiv                           string 3    1260!,1261!     идентификатор ФОИВ
1263 foundationDocDateTime            string 10   1260!,1261!     дата документа основания
1264 foundationDocNumber              string 32   1260!,1261!     номер документа основания
1265 industryPropValue                string 256  1260!,1261!     значение отраслевого реквизита
2107 checkingLabeledProdResult        uint   1    3,31            результаты проверки маркированных товаров

1020 totalSum                         vln    6    3!,31!          сумма расчёта, указанного в чеке
1031 cashTotalSum                     vln    6    3!,31!          сумма по чеку наличными
1081 ecashTotalSum                    vln    6    3!,31!          сумма по чеку безналичными
1215 prepaidSum                       vln    6    3!,31!          сумма по чеку предоплатой (зачёт аванса)
1216 creditSum                        vln    6    3!,31!          сумма по чеку постоплатой (кредит)
1217 provisionSum                     vln    6    3!,31!          сумма по чеку встречным предоставлением
1234 allECashProp                     stlv   -    3,31            сведения обо всех оплатах безналичными
1235 ecashProp                        stlv*  -    1234!           сведения об оплате безналичными
1082 ecashSum                         vln    6    1235            сумма оплаты безналичными
1236 ecashSign                        uint   1    1235            признак способа оплаты безналичными
1237 ecashIdent                       string 256  1235            идентификаторы безналичной оплаты
1238 ecashAddInfo                     string 256  1235            дополнительные сведения о безналичной оплате
1102 nds18                            vln    6    3,31            сумма НДС чека по ставке 20 %
1103 nds10                            vln    6    3,31            сумма НДС чека по ставке 10 %
1104 nds0                             vln    6    3,31            сумма расчёта по чеку с НДС по ставке 0 %
1105 ndsNo                            vln    6    3,31            сумма расчёта по чеку без НДС
1106 nds18118                         vln    6    3,31            сумма НДС чека по расчётной ставке 20/120
1107 nds10110                         vln    6    3,31            сумма НДС чека по расчётной ставке 10/110
1115 amountsReceiptNds                stlv   -    3,31            суммы НДС чека
1119 amountsNds                       stlv*  -    1115!           сумма НДС чека
1120 ndsSum                           vln    6    1119!           сумма НДС по ставке

1188 kktVersion                       string 8    2!              версия ККТ
1189 documentKktVersion               uint   1    2!              версия ФФД ККТ
1118 receiptQuantity                  uint   4    5!              количество кассовых чеков за смену
1111 documentsQuantity                uint   4    5!              общее количество ФД за смену
1097 notTransmittedDocumentsQuantity  uint   4    5               количество непереданных ФД
1098 notTransmittedDocumentsDateTime  time   4    5               дата первого из непереданных ФД
2104 undeliveredNotificationsNumber   uint   4    5               количество непереданных уведомлений
2112 invalidLabelCodesSign            uint   1    5               признак некорректных кодов маркировки
2113 invalidRequestsNotificationsSign uint   1    5               признак некорректных запросов и уведомлений
1213 fdKeyResource                    uint   2    5!              ресурс ключей ФП
1050 fiscalDriveExhaustionSign        uint   1    2,5             признак исчерпания ресурса ФН
1051 fiscalDriveReplaceRequiredSign   uint   1    2,5             признак необходимости срочной замены ФН
1052 fiscalDriveMemoryExceededSign    uint   1    2,5             признак заполнения памяти ФН
1053 ofdResponseTimeoutSign           uint   1    2,5             признак превышения времени ожидания ответа ОФД
1206 operatorMessage                  uint   1    2,5             сообщение оператора

1194 shiftSumReports                  stlv   708  5!              счётчики итогов смены
1157 fiscalDriveSumReports            stlv   708  5!              счётчики итогов ФН
1134 totalReceiptBsoCount             uint   4    1157,1194       количество чеков со всеми признаками расчётов
1129 sellOper                         stlv   -    1157,1194       счётчики операций «приход»
1130 sellReturnOper                   stlv   -    1157,1194       счётчики операций «возврат прихода»
1131 buyOper                          stlv   -    1157,1194       счётчики операций «расход»
1132 buyReturnOper                    stlv   -    1157,1194       счётчики операций «возврат расхода»
1133 receiptCorrection                stlv   -    1157,1194       счётчики операций по чекам коррекции
1144 receiptCorrectionCount           uint   4    1133            количество чеков коррекции
1145 sellCorrection                   stlv   -    1133            счётчики коррекций «приход»
1232 sellReturnCorrection             stlv   -    1133            счётчики коррекций «возврат прихода»
1146 buyCorrection                    stlv   -    1133            счётчики коррекций «расход»
1233 buyReturnCorrection              stlv   -    1133            счётчики коррекций «возврат расхода»
1135 receiptBsoCount                  uint   4    1129,1130,1131,1132,1145,1146,1232,1233 количество чеков по признаку расчётов
1201 totalSum                         vln    6    1129,1130,1131,1132,1145,1146,1232,1233 итоговая сумма
1136 cashSum                          vln    6    1129,1130,1131,1132,1145,1146,1232,1233 итоговая сумма наличными
1138 ecashSum                         vln    6    1129,1130,1131,1132,1145,1146,1232,1233 итоговая сумма безналичными
1218 prepaidSum                       vln    6    1129,1130,1131,1132,1145,1146,1232,1233 итоговая сумма предоплатами
1219 creditSum                        vln    6    1129,1130,1131,1132,1145,1146,1232,1233 итоговая сумма постоплатами
1220 provisionSum                     vln    6    1129,1130,1131,1132,1145,1146,1232,1233 итоговая сумма встречным предоставлением
1139 tax18Sum                         vln    6    1129,1130,1131,1132 итоговая сумма НДС по ставке 20 %
1140 tax10Sum                         vln    6    1129,1130,1131,1132 итоговая сумма НДС по ставке 10 %
1141 tax18118Sum                      vln    6    1129,1130,1131,1132 итоговая сумма НДС по расчётной ставке 20/120
1142 tax10110Sum                      vln    6    1129,1130,1131,1132 итоговая сумма НДС по расчётной ставке 10/110
1143 tax0Sum                          vln    6    1129,1130,1131,1132 итоговая сумма расчётов с НДС по ставке 0 %
1183 taxFreeSum                       vln    6    1129,1130,1131,1132 итоговая сумма расчётов без НДС

1040 fiscalDocumentNumber             uint   4    2!,3!,5!,7!,31! номер ФД
1041 fiscalDriveNumber                fixed  16   2!,3!,5!,7!,31! номер ФН
1077 fiscalSign                       sign   6    2!,3!,5!,31!    фискальный признак документа

1017 ofdInn                           fixed  12   7               ИНН ОФД
1068 messageToDrive                   stlv   512  7               сообщение оператора для ФН
1022 answerCode                       uint   1    1068!           код ответа ОФД
"""


class Tag(NamedTuple):
    """One row of the table. `places`: documents and structures that may hold the tag; `required_in`: those that must."""

    number: int
    name: str
    kind: str
    length: int | None
    repeats: bool
    places: frozenset[int]
    required_in: frozenset[int]
    title: str


def _read(row: str) -> Tag:
    number, name, kind, length, places, title = row.split(None, 5)
    return Tag(
        int(number),
        name,
        kind.rstrip("*"),
        None if length == "-" else int(length),
        kind.endswith("*"),
        frozenset(int(place.rstrip("!")) for place in places.split(",")),
        frozenset(int(place[:-1]) for place in places.split(",") if place.endswith("!")),
        title,
    )


TAGS = {tag.number: tag for tag in map(_read, filter(None, TABLE.splitlines()))}
PLACES = frozenset().union(*(tag.places for tag in TAGS.values()))
BY_NAME = {place: {tag.name: tag for tag in TAGS.values() if place in tag.places} for place in PLACES}
BY_NUMBER = {place: {tag.number: tag for tag in TAGS.values() if place in tag.places} for place in PLACES}
REQUIRED = {place: [tag for tag in TAGS.values() if place in tag.required_in] for place in PLACES}
