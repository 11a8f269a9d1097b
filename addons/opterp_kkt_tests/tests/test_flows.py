import json
from datetime import datetime
from unittest import SkipTest

from odoo.tests import tagged

from .baskets import BasketCase


@tagged('post_install', '-at_install', 'kkt_flows')
class TestFlows(BasketCase):
    """Advances and gift cards as Odoo's own modules make them, for a database that has pos_sale and pos_loyalty.

    The lines are those that the till makes of a sales order and of a reward (`pos_sale` and `pos_loyalty`, `pos_store.js`).
    """

    @classmethod
    def get_default_groups(cls):
        # EXTENDS 'base'
        salesman = cls.env.ref('sales_team.group_sale_salesman', raise_if_not_found=False)
        return super().get_default_groups() | (salesman or cls.env['res.groups'])

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not {'sale.order', 'loyalty.card'} <= set(cls.env.registry) or 'reward_id' not in cls.env['pos.order.line']._fields:
            raise SkipTest("pos_sale and pos_loyalty are not installed")
        cls.down_payment = cls._create_goods("Down payment", 0)
        cls.down_payment.type = 'service'
        cls.basic_config.down_payment_product_id = cls.down_payment
        cls.spectacles = cls._create_goods("Photochromic sunglasses", 15000, cls.vat_22)

    def _line(self, product, quantity, price, taxes, **values):
        total = taxes.compute_all(price, self.currency, quantity)
        return {
            'product': product,
            'quantity': quantity,
            'price_unit': price,
            'tax_ids': [(6, 0, taxes.ids)],
            'price_subtotal': total['total_excluded'],
            'price_subtotal_incl': total['total_included'],
            **values,
        }

    # -- pos_sale ----------------------------------------------------------------------------------------------------------

    def _order_goods(self, *products):
        order = self.env['sale.order'].create(
            {'partner_id': self.customer.id, 'order_line': [(0, 0, {'product_id': product.id}) for product in products]}
        )
        order.action_confirm()
        return order

    def _pay_down(self, sale_order, amount, payments=None):
        """What `downPaymentSO` puts into the till's order: a line for each group of taxes."""
        taxes = self.env['account.tax']
        base_lines = [line._prepare_base_line_for_taxes_computation() for line in sale_order.order_line]
        taxes._add_tax_details_in_base_lines(base_lines, self.company)
        taxes._round_base_lines_tax_details(base_lines, self.company)
        lines = taxes._prepare_down_payment_lines(base_lines, self.company, 'fixed', amount)
        return self._sell(
            [
                self._line(
                    self.down_payment,
                    1,
                    line['price_unit'],
                    line['tax_ids'],
                    sale_order_origin_id=sale_order.id,
                    down_payment_details=json.dumps([{'product_name': "Untrusted", 'total': 1}]),
                )
                for line in lines
            ],
            payments,
            customer=self.customer,
        )

    def _settle(self, sale_order, payments, *more):
        """What `settleSO` puts into it: all that was ordered, and what was paid before with a quantity of -1."""
        lines = []
        for line in sale_order.order_line.filtered(lambda line: not line.display_type):
            service = line.product_id.type == 'service'
            quantity = line.qty_to_invoice if service else line.product_uom_qty - max(line.qty_delivered, line.qty_invoiced)
            product = self.down_payment if line.is_downpayment else line.product_id
            lines.append(
                self._line(
                    product,
                    quantity,
                    line.price_unit,
                    line.tax_ids,
                    sale_order_origin_id=sale_order.id,
                    sale_order_line_id=line.id,
                )
            )
        return self._sell([*lines, *more], payments, customer=self.customer)

    def test_advance_of_thirty_percent_then_settlement(self):
        """30 % of 8900.00 (exempt) and of 15 000.00; 4500.00 × 22 / 122 = 811.475…, 15 000.00 × 22 / 122 = 2704.918…"""
        sale_order = self._order_goods(self.frame, self.spectacles)
        advance = self._pay_down(sale_order, 7170)
        self._assert_document(
            advance.kkt_receipt_ids,
            [
                ("Advance: Frame", 267000, 1, 267000, 6, None, 2, 10, 0),
                ("Advance: Photochromic sunglasses", 450000, 1, 450000, 12, 81148, 2, 10, 0),
            ],
            totalSum=717000,
            cashTotalSum=717000,
            ndsNo=267000,
            amountsReceiptNds={'amountsNds': [{'nds': 12, 'ndsSum': 81148}]},
        )
        self.assertEqual(len(sale_order.order_line.filtered('is_downpayment')), 3)  # with its heading
        final = self._settle(sale_order, [(self.bank_pm1, 16730)])
        self.assertEqual(final.amount_total, 16730)
        self._assert_document(
            final.kkt_receipt_ids,
            [
                ("Frame", 890000, 1, 890000, 6, None, 4, 1, 0),
                ("Photochromic sunglasses", 1500000, 1, 1500000, 11, 270492, 4, 1, 0),
            ],
            totalSum=2390000,
            prepaidSum=717000,
            ecashTotalSum=1673000,
            ndsNo=890000,
            amountsReceiptNds={'amountsNds': [{'nds': 11, 'ndsSum': 270492}]},
        )

    def test_advance_returned(self):
        """Whatever the order, its taxes and the day are by then."""
        self._set_in_sql(self.register, last_document_time=0)
        self.patch(self.env.cr, '_now', datetime(2025, 12, 30, 10))
        self.vat_22.kkt_vat_rate = '1'
        sale_order = self._order_goods(self.frame, self.spectacles)
        advance = self._pay_down(sale_order, 7170, [(self.bank_pm1, 7170)])
        self.vat_22.kkt_vat_rate = '11'
        self.env.cr._now = datetime(2026, 2, 1, 10)
        sale_order.order_line[:2].price_unit = 1
        refund = self._sell(
            [
                {
                    **self._refund_line(line, 1),
                    'price_unit': line.price_unit,
                    'tax_ids': [(6, 0, line.tax_ids.ids)],
                    'price_subtotal': -line.price_subtotal,
                    'price_subtotal_incl': -line.price_subtotal_incl,
                }
                for line in advance.lines
            ],
            [(self.bank_pm1, -7170)],
            is_refund=True,
        )
        self._assert_document(
            refund.kkt_receipt_ids,
            [
                ("Advance: Frame", 267000, 1, 267000, 6, None, 2, 10, 0),
                ("Advance: Photochromic sunglasses", 450000, 1, 450000, 3, 75000, 2, 10, 0),
            ],
            operation_type=2,
            totalSum=717000,
            ecashTotalSum=717000,
            ndsNo=267000,
            nds18118=75000,
        )

    def test_all_of_it_is_paid_before(self):
        sale_order = self._order_goods(self.spectacles)
        advance = self._pay_down(sale_order, 15000)
        self._assert_document(
            advance.kkt_receipt_ids,
            [
                ("Advance: Photochromic sunglasses", 1500000, 1, 1500000, 12, 270492, 1, 10, 0),
            ],
            totalSum=1500000,
            cashTotalSum=1500000,
            amountsReceiptNds={'amountsNds': [{'nds': 12, 'ndsSum': 270492}]},
        )
        final = self._settle(sale_order, [])
        self._assert_document(
            final.kkt_receipt_ids,
            [
                ("Photochromic sunglasses", 1500000, 1, 1500000, 11, 270492, 4, 1, 0),
            ],
            totalSum=1500000,
            prepaidSum=1500000,
            amountsReceiptNds={'amountsNds': [{'nds': 11, 'ndsSum': 270492}]},
        )
        refund = final._refund()
        self.assertEqual(refund.lines.product_id, self.spectacles)  # what was set off is not given back again

    def test_settlement_with_goods_taken_back(self):
        """Two documents: the money that moved is that of the till, and the advance belongs to the sale."""
        bought = self._sell([(self.sunglasses, 1)])
        sale_order = self._order_goods(self.spectacles)
        self._pay_down(sale_order, 5000)
        order = self._settle(sale_order, [(self.bank_pm1, 5010)], self._refund_line(bought.lines, 1))
        sale, refund = order.kkt_receipt_ids.sorted('operation_type')
        self._assert_document(
            sale,
            [
                ("Photochromic sunglasses", 1500000, 1, 1500000, 11, 270492, 4, 1, 0),
            ],
            totalSum=1500000,
            prepaidSum=500000,
            ecashTotalSum=1000000,
            amountsReceiptNds={'amountsNds': [{'nds': 11, 'ndsSum': 270492}]},
        )
        self._assert_document(
            refund,
            [
                ("Sunglasses", 499000, 1, 499000, 11, 89984, 4, 1, 0),
            ],
            operation_type=2,
            totalSum=499000,
            ecashTotalSum=499000,
            amountsReceiptNds={'amountsNds': [{'nds': 11, 'ndsSum': 89984}]},
        )

    def test_paid_online_before(self):
        """It comes as a negative price, without a line of the sales order."""
        sale_order = self._order_goods(self.frame)
        order = self._settle(
            sale_order,
            [(self.cash_pm1, 7900)],
            self._line(self.down_payment, 1, -1000, self.env['account.tax'], sale_order_origin_id=sale_order.id),
        )
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("Frame", 890000, 1, 890000, 6, None, 4, 1, 0),
            ],
            totalSum=890000,
            prepaidSum=100000,
            cashTotalSum=790000,
            ndsNo=890000,
        )

    # -- pos_loyalty -------------------------------------------------------------------------------------------------------

    def _create_wallet(self, program_type, taxes=()):
        """A program of gift cards or e-wallets, and the product that is sold to fill them."""
        product = self._create_goods({'gift_card': "Gift card", 'ewallet': "Top-up"}[program_type], 5000)
        product.write({'type': 'service', 'taxes_id': [(6, 0, [tax.id for tax in taxes])]})
        program = self.env['loyalty.program'].create(
            {
                'name': program_type,
                'program_type': program_type,
                'applies_on': 'future',
                'trigger': 'auto',
                'rule_ids': [
                    (0, 0, {'reward_point_amount': 1, 'reward_point_mode': 'money', 'product_ids': [(6, 0, product.ids)]})
                ],
                'reward_ids': [
                    (
                        0,
                        0,
                        {
                            'reward_type': 'discount',
                            'discount': 1,
                            'discount_mode': 'per_point',
                            'discount_applicability': 'order',
                        },
                    )
                ],
            }
        )
        card = self.env['loyalty.card'].create({'program_id': program.id, 'points': 5000})
        return product, program, card

    def _reward_line(self, program, amount, taxes=None, **values):
        """What `_getRewardLineValuesDiscount` makes of a reward."""
        product = program.reward_ids.discount_line_product_id
        taxes = product.taxes_id if taxes is None else taxes
        return self._line(
            product, 1, -amount, taxes, is_reward_line=True, reward_id=program.reward_ids.id, reward_identifier_code="1", **values
        )

    def test_gift_card_sold_and_spent(self):
        product, program, card = self._create_wallet('gift_card')
        sold = self._sell([(product, 1)], [(self.bank_pm1, 5000)])
        self._assert_document(
            sold.kkt_receipt_ids,
            [
                ("Gift card", 500000, 1, 500000, 6, None, 3, 10, 0),
            ],
            totalSum=500000,
            ecashTotalSum=500000,
            ndsNo=500000,
        )
        order = self._sell(
            [(self.frame, 1), self._reward_line(program, 5000, coupon_id=card.id, points_cost=5000)], [(self.cash_pm1, 3900)]
        )
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("Frame", 890000, 1, 890000, 6, None, 4, 1, 0),
            ],
            totalSum=890000,
            prepaidSum=500000,
            cashTotalSum=390000,
            ndsNo=890000,
        )
        refund = order._refund()
        self.assertEqual([line._kkt_get_set_off() for line in refund.lines], [0, -500000])

    def test_taxed_gift_card_is_at_the_calculated_rate(self):
        product, _program, _card = self._create_wallet('gift_card', self.vat_22)
        order = self._sell([(product, 1)])
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("Gift card", 500000, 1, 500000, 12, 90164, 3, 10, 0),
            ],
            totalSum=500000,
            cashTotalSum=500000,
            amountsReceiptNds={'amountsNds': [{'nds': 12, 'ndsSum': 90164}]},
        )

    def test_wallet_topped_up_and_spent(self):
        product, program, card = self._create_wallet('ewallet')
        card.partner_id = self.customer
        self._assert_document(
            self._sell([(product, 1)]).kkt_receipt_ids,
            [
                ("Top-up", 500000, 1, 500000, 6, None, 3, 10, 0),
            ],
            totalSum=500000,
            cashTotalSum=500000,
            ndsNo=500000,
        )
        order = self._sell([(self.lens, 2), self._reward_line(program, 5000, coupon_id=card.id)], [])
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ('Линза "Нева" - 1.60', 250000, 2, 500000, 6, None, 4, 1, 0),
            ],
            totalSum=500000,
            prepaidSum=500000,
            ndsNo=500000,
        )

    def test_promotion_is_a_discount_of_the_goods_at_its_rate(self):
        """10 % off all but the gift card, a line for each group of taxes."""
        product, _program, _card = self._create_wallet('gift_card')
        promotion = self.env['loyalty.program'].create(
            {
                'name': "Ten percent",
                'program_type': 'promotion',
                'trigger': 'auto',
                'rule_ids': [(0, 0, {})],
                'reward_ids': [(0, 0, {'reward_type': 'discount', 'discount': 10, 'discount_applicability': 'order'})],
            }
        )
        order = self._sell(
            [
                (self.frame, 1),
                (self.sunglasses, 1),
                (product, 1),
                self._reward_line(promotion, 890, self.exempt),
                self._reward_line(promotion, 499, self.vat_22),
            ]
        )
        self._assert_document(
            order.kkt_receipt_ids,
            [
                ("Frame", 801000, 1, 801000, 6, None, 4, 1, 0),
                ("Sunglasses", 449100, 1, 449100, 11, 80985, 4, 1, 0),
                ("Gift card", 500000, 1, 500000, 6, None, 3, 10, 0),
            ],
            totalSum=1750100,
            cashTotalSum=1750100,
            ndsNo=1301000,
            amountsReceiptNds={'amountsNds': [{'nds': 11, 'ndsSum': 80985}]},
        )
