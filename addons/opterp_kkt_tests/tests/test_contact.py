from unittest.mock import patch

from odoo.tests import tagged

from .common import KktSaleCommon


@tagged('post_install', '-at_install')
class TestContact(KktSaleCommon):
    """Tag 1008: what the customer of a sale can be reached at; 1117: the shop's own address beside it."""

    def _get_contacts(self, customer=False, **values):
        if customer:
            customer.write(values)
        document = self._get_document(self._sell([(self.frame, 1)], customer=customer).kkt_receipt_ids)
        return document.get('buyerPhoneOrAddress'), document.get('sellerAddress')

    def test_contacts(self):
        self.company.email = "shop@example.com"
        self.assertEqual(self._get_contacts(), (None, None))
        both = {'email': "ivan@example.com", 'phone': "+7 916 123-45-67"}
        self.assertEqual(self._get_contacts(self.customer, **both), ("ivan@example.com", "shop@example.com"))
        self.assertEqual(self._get_contacts(self.customer, email=False), ("+79161234567", "shop@example.com"))
        self.assertEqual(self._get_contacts(self.customer, phone=False), (None, None))

    def test_unusable_contacts_are_left_out(self):
        self.company.email = "shop"
        self.assertEqual(self._get_contacts(self.customer, email="ivan@", phone=False), (None, None))
        self.assertEqual(self._get_contacts(self.customer, email="ivan@", phone="+79161234567"), ("+79161234567", None))

    def test_contacts_cost_no_query(self):
        """The order and its company have them already."""
        self.company.email = "shop@example.com"
        self.customer.write({'email': "ivan@example.com", 'phone': "+7 916 123-45-67"})
        self._get_contacts(self.customer)
        with patch.object(type(self.register), '_get_contact_values', return_value={}):
            without = self._count_queries()
        self.assertEqual(self._count_queries(), without)

    def _count_queries(self):
        order = self._get_ui_order([(self.frame, 1)], customer=self.customer)
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        self.env['pos.order'].sync_from_ui([order])
        self.env.flush_all()
        return self.env.cr.sql_log_count - before
