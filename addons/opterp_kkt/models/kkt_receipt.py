from base64 import b64encode
from datetime import UTC, datetime
from uuid import uuid4

import qrcode
from qrcode.image.svg import SvgPathImage

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..delivery.statements import HEAD
from .big_integer import BigInteger
from .kkt_receipt_attempt import OUTCOMES

STATES = [
    ('pending', "Waiting"),
    ('sending', "Being sent"),
    ('delivered', "Delivered"),
    ('rejected', "Rejected"),
]
DOCUMENT_TYPES = [
    ('receipt', "Receipt"),
    ('correction', "Correction receipt"),
    ('shift_open', "Shift opening report"),
    ('shift_close', "Shift closing report"),
]
OPERATION_TYPES = [  # tag 1054
    ('1', "Sale"),
    ('2', "Refund of a sale"),
    ('3', "Purchase"),
    ('4', "Refund of a purchase"),
]
# Once set, never changed: a retry sends the same key and the same bytes, changed content is a correction.
IMMUTABLE = {
    'register_id', 'pos_order_id', 'document_type', 'operation_type', 'idempotency_key', 'payload', 'fd_number',
    'fiscal_drive_number', 'fiscal_sign', 'shift_number', 'receipt_number', 'queue_number', 'hlc_local_time',
    'hlc_logical_counter', 'hlc_node',
}


class KktReceipt(models.Model):
    """A fiscal document that a register has numbered, and its way to the operator (OFD).

        pending ──claim──> sending ──accepted──> delivered
           ^                  │ ├────refused───> rejected ──Retry──> pending
           └── next try later ┘

    It is created in the transaction of the sale: `idempotency_key` and `payload` are chosen there and never change. A sale
    whose document can't be built gets a `rejected` receipt without a payload and without numbers; *Retry* builds it.
    Delivery (`kkt.delivery`) alone moves it on, in `queue_number` order; a rejected document leaves that order. It stays rejected
    when a person closes it as handled, with the reason; so does a document that its register is held for.
    """
    _name = 'kkt.receipt'
    _description = "Fiscal Receipt"
    _order = 'id DESC'
    _rec_name = 'idempotency_key'

    register_id = fields.Many2one('kkt.register', required=True, readonly=True, ondelete='restrict')
    company_id = fields.Many2one(related='register_id.company_id')
    pos_order_id = fields.Many2one(
        'pos.order', "Order", readonly=True, ondelete='restrict', index='btree_not_null')
    refunded_receipt_id = fields.Many2one(
        'kkt.receipt', "Refunds Receipt", readonly=True, ondelete='restrict', index='btree_not_null')
    document_type = fields.Selection(DOCUMENT_TYPES, "Document", required=True, readonly=True, default='receipt')
    operation_type = fields.Selection(OPERATION_TYPES, "Operation", readonly=True, help="Tag 1054.")
    state = fields.Selection(STATES, required=True, readonly=True, default='pending')
    idempotency_key = fields.Char(
        "Key", required=True, readonly=True, copy=False, default=lambda self: self._get_new_key(),
        help="Tells the operator that a second sending is the same document.")
    fiscal_drive_number = fields.Char("Fiscal Drive (FN)", readonly=True)
    fd_number = fields.Integer("FD Number", readonly=True, help="Tag 1040.")
    shift_number = fields.Integer("Shift", readonly=True, help="Tag 1038.")
    receipt_number = fields.Integer("Receipt in Shift", readonly=True, help="Tag 1042.")
    fiscal_sign = fields.Char(readonly=True, help="Tag 1077.")
    queue_number = fields.Integer("Place in Queue", readonly=True)
    payload = fields.Text(readonly=True, help="What is sent, byte for byte.")
    qr = fields.Char("QR Code Text", readonly=True)
    qr_image_url = fields.Char("QR Code", compute='_compute_qr_image_url')
    currency_id = fields.Many2one(related='company_id.currency_id')
    total = BigInteger("Total in Kopecks", readonly=True)
    amount_total = fields.Monetary("Total", compute='_compute_amount_total')

    attempts = fields.Integer(readonly=True, default=0)
    next_attempt_at = fields.Datetime("Next Try", readonly=True)
    in_doubt = fields.Boolean(readonly=True, help="An earlier try may have reached the operator: it is asked first.")
    claimed_at = fields.Datetime("Last Try", readonly=True)
    delivery_epoch = BigInteger(readonly=True)
    last_outcome = fields.Selection(OUTCOMES, readonly=True)
    last_error = fields.Text(readonly=True)
    delivered_at = fields.Datetime(readonly=True)
    ofd_document_id = fields.Char("ID at the Operator", readonly=True)
    last_status = fields.Integer("HTTP Status", readonly=True, copy=False)
    sent_to_id = fields.Many2one(
        'kkt.ofd', "Sent to", readonly=True, copy=False, ondelete='restrict', index='btree_not_null',
        help="Where it is, or may be: a document in doubt is settled there before it goes anywhere else.")
    sent_version = fields.Integer(readonly=True, copy=False, help="Number of the address that it was sent to.")
    failures = fields.Integer(readonly=True, default=0, copy=False, help="Tries without a verdict since the last Retry.")
    lone_failures = fields.Integer(
        "Failures of Its Own", readonly=True, default=0, help="Tries that failed although documents of other registers passed.")
    failed_lookups = fields.Integer(readonly=True, default=0, copy=False, help="Questions in a row that the OFD did not answer.")
    absent = fields.Boolean(readonly=True, copy=False, help="The OFD said that it does not have it, and it was not sent since.")
    handled_reason = fields.Text(readonly=True, copy=False, help="Why nobody has to look at it any more.")
    handled_by = fields.Many2one('res.users', readonly=True, copy=False, ondelete='restrict')
    handled_at = fields.Datetime(readonly=True, copy=False)
    may_be_sent_anew = fields.Boolean(compute='_compute_may_be_sent_anew')
    attempt_ids = fields.One2many('kkt.receipt.attempt', 'receipt_id', readonly=True)

    hlc_local_time = BigInteger("HLC Time", readonly=True, help="ms since 1970")
    hlc_logical_counter = fields.Integer("HLC Counter", readonly=True)
    hlc_node = fields.Char("HLC Node", readonly=True)
    hlc_server_time = BigInteger("Acknowledged at", readonly=True, help="The operator's clock, ms since 1970")
    hlc_drift = fields.Boolean("Stamp Not Merged", readonly=True, help="The till's stamp was malformed or too far ahead.")
    hlc = fields.Char("HLC", compute='_compute_hlc')

    _key_uniq = models.Constraint('unique (idempotency_key)', "There is a receipt with this key already.")
    _order_uniq = models.UniqueIndex(
        "(pos_order_id, operation_type) WHERE document_type = 'receipt'", "This order has its receipt already.")
    _fd_number_uniq = models.UniqueIndex(
        "(fiscal_drive_number, fd_number) WHERE fd_number > 0", "This FD number was given already.")
    _queue_number_uniq = models.UniqueIndex(
        "(register_id, queue_number)", "This place in the queue was given already.")
    _one_in_flight = models.UniqueIndex(
        "(register_id) WHERE state = 'sending'", "A register sends one document at a time.")
    _queue_idx = models.Index("(register_id, queue_number) WHERE state IN ('pending', 'sending')")
    _rejected_idx = models.Index("(register_id) WHERE state = 'rejected' AND handled_at IS NULL")
    _drift_idx = models.Index("(create_date) WHERE hlc_drift")
    _built = models.Constraint(
        "CHECK (state = 'rejected' OR (payload IS NOT NULL AND COALESCE(fd_number, 0) > 0 AND COALESCE(queue_number, 0) > 0))",
        "Only a document that was built can be sent.")
    _delivered = models.Constraint(
        "CHECK ((state = 'delivered') = (delivered_at IS NOT NULL))", "A delivered receipt has its time of delivery.")
    _handled = models.Constraint(
        "CHECK (handled_at IS NULL OR (state = 'rejected' AND handled_reason IS NOT NULL))", "Only what was rejected is handled.")
    _hlc_positive = models.Constraint('CHECK (hlc_logical_counter >= 0)', "An HLC counter is not negative.")

    @api.depends('document_type', 'fd_number')
    def _compute_display_name(self):
        types = dict(self._fields['document_type']._description_selection(self.env))
        for receipt in self:
            number = self.env._("FD %s", receipt.fd_number) if receipt.fd_number else self.env._("not built")
            receipt.display_name = f"{types[receipt.document_type]} ({number})"

    @api.depends('state', 'in_doubt', 'failures')
    def _compute_may_be_sent_anew(self):
        """A person may give up where it was sent: it does not tell, although it was asked so often."""
        tries = self.env['kkt.delivery']._get_number('poison_tries')
        for receipt in self:
            receipt.may_be_sent_anew = receipt.state == 'pending' and receipt.in_doubt and receipt.failures >= tries

    @api.depends('total')
    def _compute_amount_total(self):
        for receipt in self:
            receipt.amount_total = receipt.total / 100

    @api.depends('qr')
    def _compute_qr_image_url(self):
        for receipt in self:
            receipt.qr_image_url = receipt.qr and _qr_image(receipt.qr)

    @api.depends('hlc_local_time', 'hlc_logical_counter', 'hlc_node')
    def _compute_hlc(self):
        for receipt in self:
            moment = datetime.fromtimestamp(receipt.hlc_local_time / 1000, UTC)
            receipt.hlc = (
                f"{moment:%Y-%m-%d %H:%M:%S}.{receipt.hlc_local_time % 1000:03d}Z"
                f" +{receipt.hlc_logical_counter} {receipt.hlc_node}" if receipt.hlc_node else False)

    def _get_printed_values(self):
        """What the buyer's copy shows, for the till."""
        return {
            'operation_type': self.operation_type,
            'fiscal_drive_number': self.fiscal_drive_number,
            'fd_number': self.fd_number,
            'fiscal_sign': self.fiscal_sign,
            'registration_number': self.register_id.registration_number,
            'qr': self.qr,
            'is_test': self.register_id.driver == 'emulator',
            'hlc': {
                'local_time': self.hlc_local_time, 'logical_counter': self.hlc_logical_counter, 'node': self.hlc_node},
        }

    @api.model
    def _get_new_key(self):
        database = self.env['ir.config_parameter'].sudo().get_param('database.uuid')
        return f"{database}.{uuid4()}"

    def write(self, vals):
        fixed = IMMUTABLE & set(vals)
        if fixed and self.filtered('payload'):
            raise UserError(self.env._(
                "A numbered fiscal document never changes. What was wrong in it is put right by a correction receipt."))
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Fiscal receipts are never deleted: the law asks to keep them."))

    # -- buttons -----------------------------------------------------------------------------------------------------------

    def action_retry(self):
        """Try again at once: build what could not be built, send what was refused, same key and same bytes."""
        self.register_id._check_may_deliver()
        self._check_ofd_active()
        self._reopen()
        receipts = self.sudo()
        for receipt in receipts.filtered(lambda r: r.state == 'rejected' and not r.payload):
            receipt.pos_order_id._kkt_build(receipt)
        self.env.flush_all()
        self.env.cr.execute("""
            UPDATE kkt_receipt
               SET state = 'pending', next_attempt_at = NULL, last_error = NULL,
                   failures = 0, lone_failures = 0, failed_lookups = 0
             WHERE id = ANY(%s) AND payload IS NOT NULL AND state IN ('rejected', 'pending')
        """, [self.ids])
        self.invalidate_recordset()
        self.env['kkt.delivery']._wake()

    def _check_ofd_active(self):
        for register in self.sudo().register_id.filtered(lambda register: not register.ofd_id.active):
            raise UserError(self.env._(
                "The operator of %(register)s, %(ofd)s, is archived, so nothing is sent to it. Choose another one for the"
                " register first.", register=register.name, ofd=register.ofd_id.name))

    def _reopen(self):
        """What a fiscal administrator closed is opened by one only, and its register tells of it."""
        handled = self.filtered('handled_at')
        if handled and not self._may_handle():
            raise AccessError(self.env._(
                "%(document)s was marked as handled by %(user)s: %(reason)s. Only a fiscal administrator sends it after all.",
                document=handled[0].display_name, user=handled[0].sudo().handled_by.name, reason=handled[0].handled_reason))
        for receipt in handled.sudo():
            receipt.register_id.message_post(body=self.env._(
                "%(document)s is tried again, although it was marked as handled: %(reason)s", document=receipt.display_name,
                reason=receipt.handled_reason))
        handled.sudo().write({'handled_reason': False, 'handled_by': False, 'handled_at': False})

    def action_handle(self):
        """Ask for the reason, then close these documents as handled."""
        self._check_may_handle()
        return {
            'type': 'ir.actions.act_window',
            'name': self.env._("Mark as Handled"),
            'res_model': 'kkt.receipt.handle',
            'view_mode': 'form',
            'target': 'new',
            'context': {'default_receipt_ids': self.ids},
        }

    def _handle(self, reason):
        """Close documents that a person has put right by other means: nobody is told of them any more.

        A register that is held for one of them goes on.
        """
        self._check_may_handle()
        if not reason.strip():
            raise UserError(self.env._("Please give a reason: whoever asks later should find it."))
        receipts = self.sudo()
        for receipt in receipts:
            receipt._check_handleable()
        for receipt in receipts.filtered(lambda r: r.state != 'rejected'):
            receipt._make_certain()
        receipts.write({
            'state': 'rejected', 'handled_reason': reason, 'handled_by': self.env.uid, 'handled_at': fields.Datetime.now()})
        for receipt in receipts:
            receipt.register_id.message_post(body=self.env._(
                "%(document)s was marked as handled: %(reason)s", document=receipt.display_name, reason=reason))
        receipts._get_holds()._release()
        self.env['kkt.watch']._wake()

    def _check_may_handle(self):
        self.check_access('read')
        if not self._may_handle():
            raise AccessError(self.env._("Only a fiscal administrator marks documents as handled."))

    def _may_handle(self):
        return self.env.su or self.env.user.has_group('opterp_kkt.group_fiscal_admin')

    def _check_handleable(self):
        """Only what will not reach the operator by itself, and what is certainly not there already, is left out."""
        if self.handled_at:
            raise UserError(self.env._(
                "%(document)s was marked as handled by %(user)s already.", document=self.display_name, user=self.handled_by.name))
        if self.state != 'rejected' and not self._may_be_left_out():
            raise UserError(self.env._(
                "%(document)s is neither rejected nor what its register is held for: it is delivered by itself.",
                document=self.display_name))

    def _may_be_left_out(self):
        """Whether it is what a register stands still for: held for it, or tried so often that a person is told."""
        tries = self.env['kkt.delivery']._get_number('poison_tries')
        return self == self._get_head(self.register_id) and bool(self._get_holds() or self.failures >= tries)

    def _make_certain(self):
        """Ask the OFD before a document is left out: what it may have must not be. Its register is held meanwhile.

        Commits, since no transaction is open while the OFD is asked.
        """
        delivery, held = self.register_id.delivery_ids, self._get_holds()
        if held and self.absent and not self.in_doubt:
            return
        if not held:
            delivery._hold(self, self.env._("Whether the OFD has %s is being asked.", self.display_name))
        delivery._ask()
        if self.state == 'pending' and self.absent and not self.in_doubt:
            return
        if not held:
            delivery._end_hold()
            self.env.cr.commit()  # the error below must not undo the release  # pylint: disable=invalid-commit
        if self.state == 'delivered':
            raise UserError(self.env._("The OFD has %s: it is delivered, and there is nothing to leave out.", self.display_name))
        raise UserError(self.env._(
            "The OFD has not said that it does not have %(document)s, so it can't be left out. Its answer: %(answer)s. Try again"
            " when the OFD answers.", document=self.display_name, answer=self.last_error or self.env._("none")))

    @api.model
    def _get_head(self, register):
        """The document that a register's queue begins with."""
        self.flush_model()
        self.env.cr.execute(f"SELECT h.id FROM kkt_register g CROSS JOIN LATERAL ({HEAD}) h WHERE g.id = %s", [register.id])
        return self.browse(receipt_id for [receipt_id] in self.env.cr.fetchall())

    def action_send_anew(self):
        """Give up a document's former OFD, or its former address, which does not answer: send it where the register's go now.

        A person answers for it: were it there after all, two would have it.
        """
        self._check_may_handle()
        for receipt in self.sudo():
            if not receipt.may_be_sent_anew:
                raise UserError(self.env._(
                    "%s is not what an OFD has failed to answer about so often. It is settled where it was sent, by itself.",
                    receipt.display_name))
            receipt.write({'in_doubt': False, 'sent_to_id': False, 'failures': 0, 'failed_lookups': 0, 'next_attempt_at': False})
            receipt.register_id.message_post(body=self.env._(
                "%(document)s is sent to the present OFD, although a former one may have it: %(user)s decided so.",
                document=receipt.display_name, user=self.env.user.name))
        self.env['kkt.delivery']._wake()

    def _get_holds(self):
        """The deliveries that are held for these documents."""
        return self.register_id.delivery_ids.filtered(
            lambda delivery: delivery.hold_reason and delivery.hold_receipt_id in self)


def _qr_image(text):
    """A QR code as the URL of an image. Drawn as vectors: that needs no graphics library."""
    image = qrcode.make(text, image_factory=SvgPathImage)
    return f"data:image/svg+xml;base64,{b64encode(image.to_string()).decode()}"
