import json
import re
from contextlib import contextmanager
from copy import deepcopy

from odoo.tests import new_test_user
from odoo.tools import mute_logger

from odoo.addons.opterp_kkt.core.registration_number import complete

from .stored_shop import StoredShop

COMPANY = 'company_1_data'  # as Odoo's own tests name it
ROW = re.compile(r'<tr class="(?:fw-bolder)?"><td>(.*?)</td>' + 3 * r'<td class="text-end">(.*?)</td>' + '</tr>')
CAUSE = re.compile(r'<tr class="text-danger"><td colspan="3" class="ps-4">(.*?): (.*?)</td><td class="text-end">(.*?)</td></tr>')
TAG = re.compile(r'<[^>]*>')


def stamp(receipt):
    return receipt.hlc_local_time, receipt.hlc_logical_counter


class KktCommon:
    """Mix in before a test class of Odoo's: its company trades in roubles, and its user administers registers.

    `_create_register` gives a point of sale an emulated register, whose OFD nobody calls.
    """

    test_cursor_lock_timeout = 200  # s that requests wait for each other, ten times Odoo's: a machine may be busy

    @classmethod
    def setup_independent_company(cls):
        # OVERRIDE 'account': its currency is set before anything is booked
        roubles = cls._enable_currency('RUB')
        return cls._create_company(name=COMPANY, currency_id=roubles.id, vat='7700123459')  # nobody's valid INN

    @classmethod
    def get_default_groups(cls):
        # EXTENDS 'base'
        return super().get_default_groups() | cls.env.ref('opterp_kkt.group_fiscal_admin')

    @contextmanager
    def _refuses(self, error):
        """What is done here is refused by PostgreSQL itself; the test's transaction goes on."""
        with mute_logger('odoo.sql_db'), self.assertRaises(error) as refusal, self.env.cr.savepoint():
            yield refusal

    @classmethod
    def _create_ofd(cls, **values):
        return cls.env['kkt.ofd'].create({'name': "OFD", 'url': 'http://127.0.0.1:9', **values})

    @classmethod
    def _create_register(cls, pos_config, **values):
        number = cls.env['kkt.register'].sudo().with_context(active_test=False).search_count([]) + 1
        return cls.env['kkt.register'].create(
            {
                'name': f"Register {number}",
                'pos_config_id': pos_config.id,
                'company_id': pos_config.company_id.id,
                'serial_number': f'TEST{number:06}',
                'registration_number': complete(f'{number:010}', pos_config.company_id.vat or '', f'TEST{number:06}'),
                'fiscal_drive_number': f'9999{number:012}',
                'ofd_id': values.get('ofd_id') or cls._create_ofd().id,
                'retail_address': "Moscow, Tverskaya 1",
                'retail_place': "Optical shop",
                **values,
            }
        )


class KktSaleCommon(KktCommon, StoredShop):
    """A shop with one register and an open session, where `_sell` pays an order as the till does."""

    @classmethod
    def _make_shop(cls):
        # EXTENDS StoredShop
        super()._make_shop()
        cls.company.point_of_sale_update_stock_quantities = 'closing'  # pickings are not what is tested here
        cls.vat_22, cls.exempt = cls.env['account.tax'].create(
            [
                {'name': "VAT 22 %", 'amount': 22, 'price_include_override': 'tax_included'},
                {'name': "No VAT", 'amount': 0, 'kkt_vat_rate': '6'},
            ]
        )
        cls.frame = cls._create_goods("Frame", 8900, cls.exempt)
        cls.solution = cls._create_goods("Solution", 849.90, cls.vat_22)
        cls.register = cls._create_register(cls.basic_config)

    def setUp(self):
        super().setUp()
        self._open_session(self.basic_config)

    @classmethod
    def setup_armageddon_tax(cls, tax_name, company_data):
        # OVERRIDE 'account': nobody here wants it
        return cls.env['account.tax']

    @classmethod
    def _create_categ_anglo(cls):
        # OVERRIDE 'point_of_sale': nobody here wants it
        return cls.env['product.category']

    @classmethod
    def _create_other_currency_config(cls, wanted=False):
        # EXTENDS 'point_of_sale': few want it
        return super()._create_other_currency_config() if wanted else cls.env['pos.config']

    @classmethod
    def _create_goods(cls, name, price, tax=None):
        product = cls.create_product(name, cls.categ_basic, price, tax_ids=tax and tax.ids)
        product.is_storable = False
        return product

    @classmethod
    def _create_user(cls, login, groups, **values):
        return new_test_user(cls.env, login, groups, **{'company_id': cls.company.id, **values})

    def _open_session(self, config):
        """Make `_sell` use another point of sale."""
        self.config = config
        return self.open_new_session()

    def _close_session(self):
        """Without all that Odoo asks for when a session is closed. Its shift is closed with it, as always."""
        self.env['pos.session'].search([('config_id', '=', self.config.id)]).state = 'closed'
        self.env['kkt.register'].sudo().search([('pos_config_id', '=', self.config.id)])._close_shift_of_session("Cashier")

    def _change_drive(self, number, register=None):
        """Put another fiscal drive in, once the shift of the one before is closed."""
        register = register or self.register
        if register.shift_id:
            register.action_close_shift()
        register.fiscal_drive_number = number

    def _deliver_reports(self):
        """What has waited so far is delivered, as the report on the shift that a session has opened."""
        self.env.flush_all()
        self.env.cr.execute("UPDATE kkt_receipt SET state = 'delivered', delivered_at = now() WHERE state = 'pending'")
        self.env.invalidate_all()

    def _archive_register(self, register=None):
        """Between two sessions; the second one is open afterwards."""
        register = register or self.register
        self._close_session()
        register.active = False
        register.flush_recordset()
        self._open_session(self.config)

    def _set_in_sql(self, records, **values):
        """Write columns past all Python."""
        self.env.flush_all()
        for name, value in values.items():
            self.env.cr.execute(f"UPDATE {records._table} SET {name} = %s WHERE id = ANY(%s)", [value, records.ids])
        self.env.invalidate_all()

    def _get_clock(self):
        """PostgreSQL's time; a class's transaction, whose time `cr.now()` is, may have begun minutes ago."""
        self.env.cr.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
        return self.env.cr.fetchone()[0]

    def _create_second_shop(self):
        """Another point of sale with a register of its own; only cards are taken there."""
        config = self.env['pos.config'].create({'name': "Second Shop", 'payment_method_ids': self.bank_pm1.ids})
        return config, self._create_register(config)

    def _get_ui_order(self, lines, payments=None, customer=False, **values):
        """What the till sends for a paid order; `lines` and `payments` as in `create_ui_order_data`."""
        return self.create_ui_order_data(
            lines, payments=payments, customer=customer, pos_order_ui_args={'state': 'paid', **values}
        )

    def _sync(self, ui_order, user=None):
        """Send an order as the till does; the data stays as it was, to be sent again."""
        orders = self.env['pos.order'].with_user(user or self.env.user)
        orders.sync_from_ui([deepcopy(ui_order)])
        return self.env['pos.order'].search([('uuid', '=', ui_order['uuid'])])

    def _sell(self, lines, payments=None, customer=False, **values):
        return self._sync(self._get_ui_order(lines, payments, customer, **values))

    def _refund_line(self, line, quantity):
        """A line that takes goods back, for `_sell`."""
        return {'product': line.product_id, 'quantity': -quantity, 'refunded_orderline_id': line.id}

    def _get_document(self, receipt):
        return json.loads(receipt.payload)['document']

    def _read_reconciliation(self, shift):
        """Rows that have anything, and the causes of differences."""
        self.env.invalidate_all()
        table = shift.reconciliation_table
        rows = {row[0]: tuple(map(float, row[1:])) for row in ROW.findall(table)}
        causes = [(cause, TAG.sub('', names), float(total)) for cause, names, total in CAUSE.findall(table)]
        return {name: row for name, row in rows.items() if any(row)}, causes

    def _sell_unbuildable(self):
        """An order whose document can't be built, with its receipt: the tax names no rate of fiscal receipts."""
        order = self._sell([(self._create_goods("Riddle", 100, self.taxes['tax21']), 1)])
        return order, order.kkt_receipt_ids
