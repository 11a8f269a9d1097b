from datetime import datetime

from odoo.tests import tagged

from .baskets import BasketCase


@tagged('post_install', '-at_install')
class TestBaskets(BasketCase):
    """What a shop sells, and the whole document of it. Advances and gift cards: see `test_flows`."""

    def test_frame_with_exempt_lenses(self):
        order = self._sell([(self.frame, 1), (self.lens, 2)])
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("Frame", 890000, 1, 890000, 6, None, 4, 1, 0),
                ('Линза "Нева" - 1.60', 250000, 2, 500000, 6, None, 4, 1, 0),
            ],
            totalSum=1390000,
            cashTotalSum=1390000,
            ndsNo=1390000,
        )

    def test_sunglasses(self):
        """4990.00 × 22 / 122 = 899.836…"""
        order = self._sell([(self.sunglasses, 1)], [(self.bank_pm1, 4990)])
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("Sunglasses", 499000, 1, 499000, 11, 89984, 4, 1, 0),
            ],
            totalSum=499000,
            ecashTotalSum=499000,
            amountsReceiptNds={'amountsNds': [{'nds': 11, 'ndsSum': 89984}]},
        )

    def test_mixed_vat(self):
        """The sums of the lines' VAT are 44.53 and 28.73; of the sums 246.97 and 315.95 it would be 44.54 and 28.72."""
        goods = [
            ("A", 119.99, self.vat_22),
            ("B", 76.99, self.vat_22),
            ("C", 49.99, self.vat_22),
            ("D", 59.99, self.vat_10),
            ("E", 41.99, self.vat_10),
            ("F", 129.99, self.vat_10),
        ]
        a, b, c, d, e, f = (self._create_goods(*each) for each in goods)
        order = self._sell([(product, 1) for product in (a, b, c, d, e, e, e, f)])
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("A", 11999, 1, 11999, 11, 2164, 4, 1, 0),
                ("B", 7699, 1, 7699, 11, 1388, 4, 1, 0),
                ("C", 4999, 1, 4999, 11, 901, 4, 1, 0),
                ("D", 5999, 1, 5999, 2, 545, 4, 1, 0),
                ("E", 4199, 1, 4199, 2, 382, 4, 1, 0),
                ("E", 4199, 1, 4199, 2, 382, 4, 1, 0),
                ("E", 4199, 1, 4199, 2, 382, 4, 1, 0),
                ("F", 12999, 1, 12999, 2, 1182, 4, 1, 0),
            ],
            totalSum=56292,
            cashTotalSum=56292,
            nds10=2873,
            amountsReceiptNds={'amountsNds': [{'nds': 11, 'ndsSum': 4453}]},
        )

    def test_eye_test_with_contact_lenses(self):
        eye_test = self._create_goods("Eye test", 1500, self.exempt)
        eye_test.type = 'service'
        contact_lenses = self._create_goods("Contact lenses", 2190, self.exempt)
        order = self._sell([(eye_test, 1), (contact_lenses, 2)])
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("Eye test", 150000, 1, 150000, 6, None, 4, 4, 0),
                ("Contact lenses", 219000, 2, 438000, 6, None, 4, 1, 0),
            ],
            totalSum=588000,
            cashTotalSum=588000,
            ndsNo=588000,
        )

    def test_refund_of_a_sale_of_2025(self):
        """20 % of 4990.00 is 831.666…"""
        self._set_in_sql(self.register, last_document_time=0)
        self.patch(self.env.cr, '_now', datetime(2025, 12, 30, 10))
        self.vat_22.kkt_vat_rate = '1'
        sale = self._sell([(self.sunglasses, 1)])
        self._assert_document(
            sale.kkt_receipt_ids,
            [
                ("Sunglasses", 499000, 1, 499000, 1, 83167, 4, 1, 0),
            ],
            totalSum=499000,
            cashTotalSum=499000,
            nds18=83167,
        )
        self.vat_22.kkt_vat_rate = '11'
        self.env.cr._now = datetime(2026, 2, 1, 10)
        refund = self._sell([self._refund_line(sale.lines, 1)], is_refund=True)
        self._assert_document(
            refund.kkt_receipt_ids,
            [
                ("Sunglasses", 499000, 1, 499000, 1, 83167, 4, 1, 0),
            ],
            operation_type=2,
            totalSum=499000,
            cashTotalSum=499000,
            nds18=83167,
        )

    def test_partial_refund(self):
        sale = self._sell([(self.lens, 2), (self.solution, 1)])
        refund = self._sell([self._refund_line(sale.lines[0], 1)], [(self.bank_pm1, -2500)], is_refund=True)
        self._assert_document(
            refund.kkt_receipt_ids,
            [
                ('Линза "Нева" - 1.60', 250000, 1, 250000, 6, None, 4, 1, 0),
            ],
            operation_type=2,
            totalSum=250000,
            ecashTotalSum=250000,
            ndsNo=250000,
        )

    def test_a_third_off_odd_prices(self):
        """6 × 33 % off 99.99, 149.95 and 333.33 are 401.96, 602.80 and 1339.99: the first two are no price × 6."""
        goods = [self._create_goods(name, price, self.vat_22) for name, price in (("A", 99.99), ("B", 149.95), ("C", 333.33))]
        order = self._sell([(product, 6, 33) for product in goods])
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("A", 6700, 2, 13400, 11, 2416, 4, 1, 0),
                ("A", 6699, 4, 26796, 11, 4832, 4, 1, 0),
                ("B", 10047, 4, 40188, 11, 7247, 4, 1, 0),
                ("B", 10046, 2, 20092, 11, 3623, 4, 1, 0),
                ("C", 22333, 6, 133999, 11, 24164, 4, 1, 0),
            ],
            totalSum=234475,
            cashTotalSum=234475,
            amountsReceiptNds={'amountsNds': [{'nds': 11, 'ndsSum': 42282}]},
        )

    def test_chain_by_the_metre(self):
        """0.333 × 349.90 is 116.5167, and 116.52 / 0.333 is 349.90990…"""
        self.env.ref('uom.decimal_product_uom').digits = 3
        chain = self._create_goods("Chain", 349.90, self.vat_22)
        chain.uom_id = self.env.ref('uom.product_uom_meter')
        order = self._sell([(chain, 0.333)])
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("Chain", 34991, 0.333, 11652, 11, 2101, 4, 1, 22),
            ],
            totalSum=11652,
            cashTotalSum=11652,
            amountsReceiptNds={'amountsNds': [{'nds': 11, 'ndsSum': 2101}]},
        )

    def test_two_payments_with_change(self):
        """500.00 by card, 400.00 in cash, 50.10 back."""
        order = self._sell([(self.solution, 1)], [(self.bank_pm1, 500), (self.cash_pm1, 400), (self.cash_pm1, -50.10)])
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("Solution", 84990, 1, 84990, 11, 15326, 4, 1, 0),
            ],
            totalSum=84990,
            cashTotalSum=34990,
            ecashTotalSum=50000,
            amountsReceiptNds={'amountsNds': [{'nds': 11, 'ndsSum': 15326}]},
        )

    def test_all_on_account(self):
        order = self._sell([(self.frame, 1)], [(self.pay_later_pm, 8900)], customer=self.customer)
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("Frame", 890000, 1, 890000, 6, None, 6, 1, 0),
            ],
            totalSum=890000,
            creditSum=890000,
            ndsNo=890000,
        )

    def test_simplified_shop_at_five_percent(self):
        """A frame is exempt there, too; 1050.00 × 5 / 105 = 50.00, 1049.90 × 5 / 105 = 49.9952…"""
        vat_5 = self.env['account.tax'].create({'name': "VAT 5 %", 'amount': 5, 'price_include_override': 'tax_included'})
        case, cloth = self._create_goods("Case", 1050, vat_5), self._create_goods("Cloth", 1049.90, vat_5)
        self.register.taxation_system = '2'
        order = self._sell([(self.frame, 1), (case, 1), (cloth, 1)])
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("Frame", 890000, 1, 890000, 6, None, 4, 1, 0),
                ("Case", 105000, 1, 105000, 7, 5000, 4, 1, 0),
                ("Cloth", 104990, 1, 104990, 7, 5000, 4, 1, 0),
            ],
            appliedTaxationType=2,
            totalSum=1099990,
            cashTotalSum=1099990,
            ndsNo=890000,
            amountsReceiptNds={'amountsNds': [{'nds': 7, 'ndsSum': 10000}]},
        )
