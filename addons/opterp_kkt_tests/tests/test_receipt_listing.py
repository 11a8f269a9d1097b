from ast import literal_eval
from datetime import timedelta

from lxml import etree

from odoo.tests import Form, tagged

from odoo.addons.opterp_kkt.models.kkt_receipt_listing import FILL

from .common import KktSaleCommon, stamp


@tagged('post_install', '-at_install')
class TestReceiptListing(KktSaleCommon):
    """How documents are found, grouped and summed."""

    def _group(self, *groups, **filters):
        """Sums as lists, pivots and graphs ask for them."""
        domain = [('register_id', '=', self.register.id), *filters.items()]
        aggregates = ['amount_signed:sum', 'currency_id:array_agg_distinct', '__count']
        rows = self.env['kkt.receipt'].formatted_read_group(domain, groups, aggregates)
        return {row[groups[0]]: (row['amount_signed:sum'], row['__count']) for row in rows}

    def test_sums_add_up_to_what_was_taken(self):
        """As the session has it: what refunds give back is subtracted."""
        sale = self._sell([(self.frame, 2), (self.solution, 1)])
        self._sell([self._refund_line(sale.lines[0], 1)], is_refund=True)
        session = sale.session_id
        total, count = self._group('session_id')[(session.id, session.display_name)]
        self.assertEqual(count, 2)
        self.assertAlmostEqual(total, session.total_payments_amount, places=2)
        self.assertAlmostEqual(sum(total for total, _count in self._group('operation_type').values()), 8900 + 849.90, places=2)

    def test_groups_count(self):
        for _number in range(3):
            self._sell([(self.frame, 1)])
        config, cashier = self.basic_config, self.env.user.name
        self.assertEqual(self._group('till_id')[(config.id, config.display_name)], (26700, 4), "with the report on the shift")
        self.assertEqual(self._group('cashier')[cashier], (26700, 3))
        self.assertEqual(sum(count for _total, count in self._group('create_date:day').values()), 4)

    def test_what_could_not_be_built_has_its_cashier_and_no_sum(self):
        _order, receipt = self._sell_unbuildable()
        self.assertRecordValues(receipt, [{'cashier': self.env.user.name, 'amount_signed': 0, 'state': 'rejected'}])

    def test_what_was_there_before_is_filled_in(self):
        """An upgrade finds the columns empty."""
        sale = self._sell([(self.frame, 1)])
        refund = self._sell([self._refund_line(sale.lines, 1)], is_refund=True)
        _order, unbuilt = self._sell_unbuildable()
        receipts = sale.kkt_receipt_ids + refund.kkt_receipt_ids + unbuilt
        self.env.flush_all()
        self.env.cr.execute("UPDATE kkt_receipt SET amount_signed = NULL, cashier = NULL")
        self.env.cr.execute(FILL)
        self.env.invalidate_all()
        self.assertEqual(receipts.mapped('amount_signed'), [8900, -8900, 0])
        self.assertEqual(set(receipts.mapped('cashier')), {self.env.user.name})

    # -- filters -----------------------------------------------------------------------------------------------------------

    def _find(self, name):
        """What a filter of the search view finds."""
        view = self.env['kkt.receipt'].get_view(self.env.ref('opterp_kkt.kkt_receipt_view_search').id)
        [domain] = self._get_filters(view['arch'], name)
        return self.env['kkt.receipt'].search(domain)

    def _get_filters(self, arch, name):
        return [literal_eval(node.get('domain')) for node in etree.fromstring(arch).iterfind(f".//filter[@name='{name}']")]

    def test_waiting_for_more_than_an_hour(self):
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self.assertNotIn(receipt, self._find('waiting_long'))
        self._set_in_sql(receipt, create_date=self.env.cr.now() - timedelta(minutes=61))
        self.assertIn(receipt, self._find('waiting_long'))
        self._deliver_reports()
        self.assertFalse(self._find('waiting_long'))

    def test_held(self):
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        self.assertFalse(self._find('held'))
        self.register.action_hold()
        self.assertIn(receipt, self._find('held'))
        self.register.action_release_hold()
        self.assertFalse(self._find('held'))

    def test_an_order_whose_receipt_was_handled_is_not_among_the_rejected(self):
        order, receipt = self._sell_unbuildable()
        view = self.env['pos.order'].get_view(self.env.ref('point_of_sale.view_pos_order_filter').id)
        [domain] = self._get_filters(view['arch'], 'kkt_rejected')
        self.assertIn(order, self.env['pos.order'].search(domain))
        receipt._handle("sold by hand")
        self.assertNotIn(order, self.env['pos.order'].search(domain))

    # -- the stamp ---------------------------------------------------------------------------------------------------------

    def test_the_stamp_reads_as_time_and_distance(self):
        receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids.with_context(tz='Europe/Moscow')
        self.assertRegex(receipt.hlc_text, r"^[0-9]{2}\.[0-9]{2}\.20[0-9]{2} [0-9:]{8}\.[0-9]{3}, counter [0-9]+: ")
        seconds, counter = stamp(receipt)
        self._set_in_sql(receipt, hlc_local_time=seconds + 90_000)
        self.assertRegex(receipt.hlc_text, f"counter {counter}: [0-9.]+ s ahead of the clock on the wall")
        self._set_in_sql(receipt, create_date=receipt.create_date + timedelta(hours=1))
        self.assertRegex(receipt.hlc_text, "s behind the clock on the wall")
        self.assertTrue(Form(receipt).hlc_text)
