from .common import KktSaleCommon

ITEM = ('name', 'price', 'quantity', 'sum', 'nds', 'ndsSum', 'paymentType', 'productType', 'itemsQuantityMeasure')
PAYMENTS = ('cashTotalSum', 'ecashTotalSum', 'prepaidSum', 'creditSum', 'provisionSum')


class BasketCase(KktSaleCommon):
    """An optical shop whose fiscal documents are compared field by field with what was computed by hand."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.vat_10 = cls.env['account.tax'].create({'name': "VAT 10 %", 'amount': 10, 'price_include_override': 'tax_included'})
        cls.lens = cls._create_goods("Линза «Нева» — 1.60", 2500, cls.exempt)
        cls.sunglasses = cls._create_goods("Sunglasses", 4990, cls.vat_22)

    def _assert_document(self, receipt, items, operation_type=1, **stated):
        """The receipt's document has these items, totals and payments, what the register states on all of them, and no more.

        :param items: tuples in the order of `ITEM`; None is a field that is not there
        :param stated: sums by FNS JSON names; a payment that is not named is 0
        """
        document = self._get_document(receipt)
        register, company = receipt.register_id, receipt.company_id
        self.assertEqual(
            document,
            {
                'code': 3,
                'fiscalDocumentFormatVer': 4,
                'operationType': operation_type,
                'operator': self.env.user.name,
                'user': company.name,
                'userInn': '7700123459  ',
                'kktRegId': f'{register.registration_number}    ',
                'retailPlaceAddress': "Moscow, Tverskaya 1",
                'retailPlace': "Optical shop",
                'appliedTaxationType': 1,
                'fnsUrl': 'www.nalog.gov.ru',
                'fiscalDriveNumber': register.fiscal_drive_number,
                'fiscalDocumentNumber': receipt.fd_number,
                'shiftNumber': receipt.shift_number,
                'requestNumber': receipt.receipt_number,
                'dateTime': document['dateTime'],
                'fiscalSign': int(receipt.fiscal_sign),
                'items': [{k: v for k, v in zip(ITEM, item, strict=True) if v is not None} for item in items],
                **dict.fromkeys(PAYMENTS, 0),
                **stated,
            },
        )
