from odoo import api, fields, models
from odoo.exceptions import UserError

from ..core import hlc
from .big_integer import BigIntegerJson

SERVER_FIELDS = ('kkt_state', 'kkt_qr', 'kkt_documents', 'kkt_receipt_ids')


class PosOrder(models.Model):
    """A paid order gets its fiscal receipts in the transaction that pays it, whoever pays it: till, backend, kiosk.

    Goods sold and goods taken back are two documents (tag 1054), so an exchange gives two receipts. Whatever is wrong with
    the document, the order is stored: its receipt is then rejected, with the reason, for a person to look at. What they state
    stands in `pos_order_document.py`.
    """

    _inherit = 'pos.order'

    kkt_hlc = BigIntegerJson("Till's HLC Stamp", copy=False, help="What the browser sent; untrusted.")
    kkt_receipt_ids = fields.One2many('kkt.receipt', 'pos_order_id', "Fiscal Receipts", readonly=True)
    kkt_state = fields.Selection(
        [('pending', "Waiting"), ('delivered', "Delivered"), ('rejected', "Rejected"), ('handled', "Handled")],
        "Fiscal Receipt",
        compute='_compute_kkt',
        compute_sudo=True,
    )
    kkt_qr = fields.Char("Fiscal QR Code", compute='_compute_kkt', compute_sudo=True)
    kkt_documents = BigIntegerJson("Fiscal Documents", compute='_compute_kkt_documents', compute_sudo=True)

    @api.depends('kkt_receipt_ids.state', 'kkt_receipt_ids.handled_at', 'kkt_receipt_ids.qr')
    def _compute_kkt(self):
        for order in self:
            receipts = order.kkt_receipt_ids.sorted('operation_type')
            states = {'handled' if receipt.handled_at else receipt.state for receipt in receipts}
            order.kkt_state = (
                'rejected'
                if 'rejected' in states
                else 'pending'
                if states & {'pending', 'sending'}
                else 'handled'
                if 'handled' in states
                else 'delivered'
                if states
                else False
            )
            order.kkt_qr = receipts[:1].qr

    @api.depends(
        'kkt_receipt_ids.state', 'kkt_receipt_ids.fd_number', 'kkt_receipt_ids.handled_at', 'kkt_receipt_ids.print_count'
    )
    def _compute_kkt_documents(self):
        for order in self:
            order.kkt_documents = [receipt._get_printed_values() for receipt in order.kkt_receipt_ids.sorted('operation_type')]

    # -- the sale ----------------------------------------------------------------------------------------------------------

    @api.model
    def sync_from_ui(self, orders):
        # EXTENDS 'point_of_sale'
        self.env['kkt.register']._take_sale_lock(_get_session_ids(orders))
        return super().sync_from_ui(orders)

    @api.model
    def _process_order(self, order, existing_order):
        # EXTENDS 'point_of_sale': what the browser says about receipts is not believed
        for name in SERVER_FIELDS:
            order.pop(name, None)
        if order.get('kkt_hlc'):
            order['kkt_hlc'] = _storable_stamp(order['kkt_hlc'])
        if order.get('state') == 'draft':
            self._kkt_get_refunded_by(order)._kkt_check_refundable()
        return super()._process_order(order, existing_order)

    def action_pos_order_paid(self):
        # EXTENDS 'point_of_sale'
        result = super().action_pos_order_paid()
        self.sudo()._kkt_fiscalize()
        return result

    def write(self, vals):
        # EXTENDS 'point_of_sale': what a fiscal receipt states about an order stays so
        if (vals.get('lines') or vals.get('payment_ids')) and self.sudo().kkt_receipt_ids.filtered('payload'):
            raise UserError(
                self.env._("The lines and payments of an order with a fiscal receipt don't change. Refund the order instead.")
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_fiscalized(self):
        if self.sudo().kkt_receipt_ids:
            raise UserError(self.env._("An order with a fiscal receipt can't be deleted."))

    # -- what may be taken back --------------------------------------------------------------------------------------------

    def _refund(self):
        # EXTENDS 'point_of_sale'
        self._kkt_check_refundable()
        return super()._refund()

    @api.model
    def _kkt_get_refunded_by(self, order):
        """The orders of which one that a till sends takes something back. What is no order is left for Odoo to refuse."""
        lines = [command[2] for command in order.get('lines') or [] if isinstance(command, list | tuple) and len(command) == 3]
        ids = [line.get('refunded_orderline_id') for line in lines if isinstance(line, dict)]
        return self.env['pos.order.line'].browse(line_id for line_id in ids if line_id and type(line_id) is int).exists().order_id

    def _kkt_check_refundable(self):
        """Before a refund is paid: what arrives paid is stored."""
        for order in self:
            if obstacle := order._kkt_get_refund_obstacle():
                raise UserError(obstacle)

    def kkt_get_refund_obstacle(self):
        """For the till: why this order can't be taken back now, False when it can."""
        self.ensure_one()
        self.check_access('read')
        return self._kkt_get_refund_obstacle()

    def _kkt_get_refund_obstacle(self):
        receipts = self.sudo().kkt_receipt_ids
        if self.kkt_state == 'rejected':
            return self.env._(
                "The fiscal receipt of %s was rejected, so a refund could not refer to it. Please tell the administrator: when"
                " the receipt is sent after all, or marked as handled, the sale can be refunded.",
                self.pos_reference or self.name,
            )
        if receipts.filtered(lambda receipt: receipt.state in ('pending', 'sending') and not receipt.fd_number):
            return self.env._(
                "The cash register has not issued the fiscal receipt of %s yet. It can be refunded as soon as its number is"
                " there.",
                self.pos_reference or self.name,
            )
        return False

    # -- its receipts ------------------------------------------------------------------------------------------------------

    def _kkt_fiscalize(self):
        """Create the receipts of a paid order, once."""
        register = self._kkt_get_register()
        if not register or self.kkt_receipt_ids:
            self._kkt_release_till()
            return
        for operation_type in self._kkt_get_operation_types():
            self.env['kkt.receipt']._issue(register, 'receipt', self, operation_type)
        self.env['kkt.delivery']._wake()
        if 'rejected' in self.kkt_receipt_ids.mapped('state'):
            self.env['kkt.watch']._wake()

    def _kkt_get_register(self):
        """The register of the order's point of sale.

        An order that waited in its till's browser may come when that register is gone. The till's stamp says that there was
        one, so the order gets its receipt: that of the register that served the point of sale last, which won't number it.
        """
        register = self.env['kkt.register']._find_for_sale(self.config_id)
        if register or not self.kkt_hlc:
            return register
        return self.env['kkt.receipt'].search([('pos_order_id.config_id', '=', self.config_id.id)], limit=1).register_id

    def _kkt_get_mark(self):
        """What a till shows of the order's documents, in short."""
        return [self.kkt_state, [document['fd_number'] for document in self.kkt_documents if document['fd_number']]]

    def _kkt_release_till(self):
        """Without a receipt, no stamp: the till would wait for one, and send the order again and again."""
        if self.kkt_hlc and not self.kkt_receipt_ids:
            self.kkt_hlc = False


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
