import logging

import psycopg2
from psycopg2.errors import LockNotAvailable, SerializationFailure

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..core import ffd, hlc
from ..core.inn import is_inn
from ..delivery import locks
from .big_integer import BigIntegerJson

_logger = logging.getLogger(__name__)

FIND_REGISTER = """
    SELECT r.id FROM kkt_register r JOIN pos_session s ON s.config_id = r.pos_config_id
     WHERE r.active AND s.id = ANY(%(sessions)s) AND pg_current_xact_id_if_assigned() IS NULL
     ORDER BY r.id LIMIT 1
"""
TAKE_FREE_TURN = f"""
    SELECT pg_try_advisory_xact_lock(%(class)s, id) AS taken
      FROM ({FIND_REGISTER} FOR NO KEY UPDATE OF r NOWAIT) register
"""
AWAIT_TURN = f"SELECT id, pg_advisory_lock(%(class)s, id) FROM ({FIND_REGISTER}) register"
HAND_OVER = "SELECT pg_advisory_xact_lock(%(class)s, %(register)s), pg_advisory_unlock(%(class)s, %(register)s)"
SALE, REFUND = '1', '2'
SERVER_FIELDS = ('kkt_state', 'kkt_qr', 'kkt_documents', 'kkt_receipt_ids')


class PosOrder(models.Model):
    """A paid order gets its fiscal receipts in the transaction that pays it, whoever pays it: till, backend, kiosk.

    Goods sold and goods taken back are two documents (tag 1054), so an exchange gives two receipts. Whatever is wrong with
    the document, the order is stored: its receipt is then rejected, with the reason, for a person to look at.
    """
    _inherit = 'pos.order'

    kkt_hlc = BigIntegerJson("Till's HLC Stamp", copy=False, help="What the browser sent; untrusted.")
    kkt_receipt_ids = fields.One2many('kkt.receipt', 'pos_order_id', "Fiscal Receipts", readonly=True)
    kkt_state = fields.Selection(
        [('pending', "Waiting"), ('delivered', "Delivered"), ('rejected', "Rejected")],
        "Fiscal Receipt", compute='_compute_kkt', compute_sudo=True)
    kkt_qr = fields.Char("Fiscal QR Code", compute='_compute_kkt', compute_sudo=True)
    kkt_documents = BigIntegerJson("Fiscal Documents", compute='_compute_kkt', compute_sudo=True)

    @api.depends('kkt_receipt_ids.state', 'kkt_receipt_ids.qr')
    def _compute_kkt(self):
        for order in self:
            receipts = order.kkt_receipt_ids.sorted('operation_type')
            states = set(receipts.mapped('state'))
            order.kkt_state = (
                'rejected' if 'rejected' in states
                else 'pending' if states & {'pending', 'sending'}
                else 'delivered' if states else False)
            order.kkt_qr = receipts[:1].qr
            order.kkt_documents = [receipt._get_printed_values() for receipt in receipts if receipt.qr]

    # -- the sale ----------------------------------------------------------------------------------------------------------

    @api.model
    def sync_from_ui(self, orders):
        # EXTENDS 'point_of_sale'
        self._kkt_take_turn(orders)
        return super().sync_from_ui(orders)

    @api.model
    def _process_order(self, order, existing_order):
        # EXTENDS 'point_of_sale': what the browser says about receipts is not believed
        for name in SERVER_FIELDS:
            order.pop(name, None)
        if order.get('kkt_hlc'):
            order['kkt_hlc'] = _storable_stamp(order['kkt_hlc'])
        return super()._process_order(order, existing_order)

    def action_pos_order_paid(self):
        # EXTENDS 'point_of_sale'
        result = super().action_pos_order_paid()
        self.sudo()._kkt_fiscalize()
        return result

    def write(self, vals):
        # EXTENDS 'point_of_sale': what a fiscal receipt states about an order stays so
        if (vals.get('lines') or vals.get('payment_ids')) and self.sudo().kkt_receipt_ids.filtered('payload'):
            raise UserError(self.env._(
                "The lines and payments of an order with a fiscal receipt don't change. Refund the order instead."))
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_fiscalized(self):
        if self.sudo().kkt_receipt_ids:
            raise UserError(self.env._("An order with a fiscal receipt can't be deleted."))

    @api.model
    def _kkt_take_turn(self, orders):
        """Let sales of one register pass one after another.

        Two sales that overlap both update the register's row, and under REPEATABLE READ the second would be refused and
        tried again after a pause of seconds. Here it waits for the first one, before it has done anything. A transaction
        that has written already is left alone (the sale is then tried again by Odoo if it must).
        """
        self.env.flush_all()  # what the ORM has still to write is written, too: a rollback would drop it
        turn = {'class': locks.SALE, 'sessions': _get_session_ids(orders)}
        if not self._kkt_take_free_turn(turn):
            self._kkt_await_turn(turn)

    def _kkt_take_free_turn(self, turn):
        """Nobody sells at this moment, as mostly, or since this transaction's snapshot: one statement tells, and stays so."""
        try:
            self.env.cr.execute(TAKE_FREE_TURN, turn, log_exceptions=False)
            return (False,) not in self.env.cr.fetchall()
        except (LockNotAvailable, SerializationFailure):
            return False

    def _kkt_await_turn(self, turn):
        """Wait, end the empty transaction and hand the lock over to a new one, which sees all that the first sale did."""
        cr = self.env.cr
        cr.rollback()  # the one whose turn it is needs the register's row
        cr.execute(AWAIT_TURN, turn)
        for register_id, _taken in cr.fetchall():
            cr.rollback()
            cr.execute(HAND_OVER, {'class': locks.SALE, 'register': register_id})

    # -- its receipts ------------------------------------------------------------------------------------------------------

    def _kkt_fiscalize(self):
        """Create the receipts of a paid order, once."""
        register = self._kkt_get_register()
        if not register or self.kkt_receipt_ids:
            self._kkt_release_till()
            return
        for operation_type in self._kkt_get_operation_types():
            self.env['kkt.receipt'].create({
                'pos_order_id': self.id,
                'operation_type': operation_type,
                'idempotency_key': (key := self.env['kkt.receipt']._get_new_key()),
                **self._kkt_get_document_values(register, key, operation_type),
            })
        self.env['kkt.delivery']._wake()
        if 'rejected' in self.kkt_receipt_ids.mapped('state'):
            self.env['kkt.watch']._wake()

    def _kkt_build(self, receipt):
        """Build the document of a receipt that could not be built when its order was paid."""
        receipt.write(self._kkt_get_document_values(
            self._kkt_get_register() or receipt.register_id, receipt.idempotency_key, receipt.operation_type))

    def _kkt_get_register(self):
        """The register of the order's point of sale.

        An order that waited in its till's browser may come when that register is gone. The till's stamp says that there was
        one, so the order gets its receipt: that of the register that served the point of sale last, which won't number it.
        """
        register = self.env['kkt.register'].search([('pos_config_id', '=', self.config_id.id)])
        if register or not self.kkt_hlc:
            return register
        return self.env['kkt.receipt'].search([('pos_order_id.config_id', '=', self.config_id.id)], limit=1).register_id

    def _kkt_release_till(self):
        """Without a receipt, no stamp: the till would wait for one, and send the order again and again."""
        if self.kkt_hlc and not self.kkt_receipt_ids:
            self.kkt_hlc = False

    def _kkt_get_operation_types(self):
        quantities = self.lines.mapped('qty')
        types = [SALE] * any(qty > 0 for qty in quantities) + [REFUND] * any(qty < 0 for qty in quantities)
        return types or [REFUND if self.is_refund or self.amount_total < 0 else SALE]

    def _kkt_get_document_values(self, register, key, operation_type):
        """Values of a numbered receipt, or of a rejected one that says what is wrong."""
        origin = self.lines.refunded_orderline_id.order_id.kkt_receipt_ids
        values = {
            'register_id': register.id,
            'refunded_receipt_id': operation_type == REFUND and origin.filtered(lambda r: r.operation_type == SALE)[:1].id,
        }
        try:
            register._check_serves(self.config_id, self.company_id)
            items = self._kkt_get_items(operation_type)
            body = self._kkt_get_body(register, operation_type, items)
            numbered = register._fiscalize(key, 'receipt', body, self._kkt_get_seen(origin), self.kkt_hlc)
        except psycopg2.Error:
            raise
        except ffd.DocumentError as error:
            return {**values, 'state': 'rejected', 'last_error': self.env['kkt.explanation']._explain(error)}
        except Exception as error:
            _logger.exception("The fiscal document of %s could not be built", self.name)
            return {**values, 'state': 'rejected', 'last_error': self.env._(
                "The document could not be built (%(error)s). The sale is stored. Please tell the administrator, and press Retry"
                " when it is mended.", error=repr(error))}
        for line, item in zip(self._kkt_get_lines(operation_type), items, strict=True):
            line.kkt_vat_rate = item.stated_rate
        return {**values, 'state': 'pending', 'last_error': False, **numbered}

    def _kkt_get_seen(self, origin):
        """Stamps in this database that the receipt must be later than, however far ahead they are."""
        return [
            hlc.Timestamp(receipt.hlc_local_time, receipt.hlc_logical_counter, receipt.hlc_node)
            for receipt in origin if receipt.hlc_node]

    def _kkt_get_body(self, register, operation_type, items):
        """The document without what the register gives.

        :raises DocumentError: what is wrong with the sale
        """
        if self.currency_id.name != 'RUB':
            raise ffd.DocumentError('currency', currency=self.currency_id.name)
        self.company_id.partner_id.fetch(['vat'])  # this alone: the ORM would read all of the partner
        if not is_inn(self.company_id.vat):
            raise ffd.DocumentError('inn', company=self.company_id.name)
        total = sum(item.total for item in items)
        other = sum(line._kkt_get_total() for line in self._kkt_get_lines(REFUND if operation_type == SALE else SALE))
        tolerance = len(self.lines) + round(100 * self.config_id.cash_rounding * self.config_id.rounding_method.rounding)
        paid = ffd.share_payments(self._kkt_get_paid(operation_type), total, other, tolerance)
        head = {'operator': self._kkt_get_cashier(), **register._get_head_values()}
        return ffd.settlement(int(operation_type), items, paid, head, register._get_day())

    def _kkt_get_lines(self, operation_type):
        """The order's lines that belong into one document. A combo's own line has no price, its parts have."""
        sign = 1 if operation_type == SALE else -1
        return self.lines.filtered(lambda line: sign * line.qty > 0 and not line.combo_line_ids)

    def _kkt_get_items(self, operation_type):
        return [line._kkt_get_item() for line in self._kkt_get_lines(operation_type)]

    def _kkt_get_paid(self, operation_type):
        """Kopecks by payment form, after change; of a refund, what was given back."""
        sign = 1 if operation_type == SALE else -1
        paid = {}
        for payment in self.payment_ids:
            form = payment.payment_method_id._kkt_get_form()
            paid[form] = paid.get(form, 0) + sign * round(payment.amount * 100)
        return paid

    def _kkt_get_cashier(self):
        """Tag 1021."""
        employee = 'employee_id' in self._fields and self.employee_id.name
        return employee or self.user_id.name or ''


def _get_session_ids(orders):
    """The sessions that orders say they belong to. What is no order is left for Odoo to refuse."""
    orders = [order for order in orders if isinstance(order, dict)] if isinstance(orders, list) else []
    return [order['session_id'] for order in orders if type(order.get('session_id')) is int]


def _storable_stamp(raw):
    """What a till sent as its stamp, in a form that PostgreSQL takes whatever it is."""
    try:
        return hlc.parse(raw)._asdict()
    except ValueError as error:
        return {'malformed': str(error)[:200].replace('\x00', '')}
