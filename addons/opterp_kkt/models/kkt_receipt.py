import logging
from datetime import timedelta
from uuid import uuid4

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..core import hlc
from ..core.document_error import DocumentError
from ..core.ffd import signed_total
from ..core.fiscal_data import FiscalData
from ..drivers import DRIVERS
from ..transports import PROTOCOLS, Contents
from .big_integer import BigInteger
from .kkt_receipt_attempt import OUTCOMES

_logger = logging.getLogger(__name__)

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
SETTLEMENTS = ('receipt', 'correction')  # documents of a sum of money; the others report on a shift
# Once set, never changed: a retry sends the same key and the same bytes, changed content is a correction. Delivery alone writes
# what an answer brings, and a new envelope for another protocol.
IMMUTABLE = {
    'register_id',
    'pos_order_id',
    'shift_id',
    'correction_id',
    'corrected_receipt_id',
    'document_type',
    'operation_type',
    'idempotency_key',
    'payload',
    'protocol',
    'total',
    'amount_signed',
    'cashier',
    'numbers_follow',
    *FiscalData._fields,
    'queue_number',
    'hlc_local_time',
    'hlc_logical_counter',
    'hlc_node',
}


class KktReceipt(models.Model):
    """A fiscal document of a register, and its way to the OFD.

        pending ──claim──> sending ──accepted──> delivered
           ^                  │ ├────refused───> rejected ──Retry──> pending
           └── next try later ┘

    `_issue` is the only way one comes to be, in the transaction of its cause: there `idempotency_key` and `payload` are chosen,
    and never change. The cause is its source, which gives what the document states:

        _kkt_get_references(operation_type)      values of the receipt: who the source is, what is refunded
        _kkt_get_body(register, operation_type)  the document without what a register adds, or a `DocumentError`
        _kkt_get_stamps()                        HLC stamps that it must be later than, and the one that a till claims
        _kkt_get_register()                      the register that issues its documents

    A document with money stands in the register's open shift (`kkt.shift`), opened or renewed before it where it must be.

    What can't be built is `rejected`, without payload and numbers; *Retry* issues it after all. Delivery (`kkt.delivery`) alone
    moves it on, in `queue_number` order; a rejected document leaves that order. What people do about it stands in
    `kkt_receipt_handling.py`, how it reads in `kkt_receipt_document.py`, how it is found and summed in `kkt_receipt_listing.py`.
    """

    _name = 'kkt.receipt'
    _description = "Fiscal Receipt"
    _order = 'id DESC'
    _rec_name = 'idempotency_key'

    register_id = fields.Many2one('kkt.register', required=True, readonly=True, ondelete='restrict')
    company_id = fields.Many2one(related='register_id.company_id')
    pos_order_id = fields.Many2one('pos.order', "Order", readonly=True, ondelete='restrict', index='btree_not_null')
    refunded_receipt_id = fields.Many2one(
        'kkt.receipt', "Refunds Receipt", readonly=True, ondelete='restrict', index='btree_not_null'
    )
    document_type = fields.Selection(DOCUMENT_TYPES, "Document", required=True, readonly=True, default='receipt')
    operation_type = fields.Selection(OPERATION_TYPES, "Operation", readonly=True, help="Tag 1054.")
    state = fields.Selection(STATES, required=True, readonly=True, default='pending')
    idempotency_key = fields.Char(
        "Key",
        required=True,
        readonly=True,
        copy=False,
        default=lambda self: self._get_new_key(),
        help="Tells the OFD that a second sending is the same document.",
    )
    fiscal_drive_number = fields.Char("Fiscal Drive (FN)", readonly=True)
    fd_number = fields.Integer("FD Number", readonly=True, help="Tag 1040.")
    shift_id = fields.Many2one('kkt.shift', readonly=True, ondelete='restrict', index='btree_not_null')
    shift_number = fields.Integer(readonly=True, help="Tag 1038.")
    receipt_number = fields.Integer("Receipt in Shift", readonly=True, help="Tag 1042.")
    fiscal_sign = fields.Char(readonly=True, help="Tag 1077.")
    queue_number = fields.Integer("Place in Queue", readonly=True)
    payload = fields.Text(readonly=True, help="What is sent, byte for byte.")
    protocol = fields.Selection(
        [(name, transport.label) for name, transport in PROTOCOLS.items()], readonly=True, help="What the payload is written for."
    )
    numbers_follow = fields.Boolean(
        readonly=True, help="The register is elsewhere: it numbers and signs the document when it gets it."
    )
    qr = fields.Char("QR Code Text", readonly=True)
    total = BigInteger("Total in Kopecks", readonly=True)

    attempts = fields.Integer(readonly=True, default=0)
    next_attempt_at = fields.Datetime("Next Try", readonly=True)
    in_doubt = fields.Boolean(readonly=True, help="An earlier try may have reached the OFD: it is asked first.")
    claimed_at = fields.Datetime("Last Try", readonly=True)
    delivery_epoch = BigInteger(readonly=True)
    last_outcome = fields.Selection(OUTCOMES, readonly=True)
    last_error = fields.Text(readonly=True)
    delivered_at = fields.Datetime(readonly=True)
    ofd_document_id = fields.Char("ID at the OFD", readonly=True)
    last_status = fields.Integer("HTTP Status", readonly=True, copy=False)
    sent_to_id = fields.Many2one(
        'kkt.ofd',
        "Sent to",
        readonly=True,
        copy=False,
        ondelete='restrict',
        index='btree_not_null',
        help="Where it is, or may be: a document in doubt is settled there before it goes anywhere else.",
    )
    sent_version = fields.Integer(readonly=True, copy=False, help="Number of the address that it was sent to.")
    failures = fields.Integer(readonly=True, default=0, copy=False, help="Tries without a verdict since the last Retry.")
    lone_failures = fields.Integer(
        "Failures of Its Own", readonly=True, default=0, help="Tries that failed although documents of other registers passed."
    )
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
    hlc_server_time = BigInteger("Acknowledged at", readonly=True, help="The OFD's clock, ms since 1970")
    hlc_drift = fields.Boolean("Stamp Not Merged", readonly=True, help="The till's stamp was malformed or too far ahead.")

    _key_uniq = models.Constraint('unique (idempotency_key)', "There is a receipt with this key already.")
    _order_uniq = models.UniqueIndex(
        "(pos_order_id, operation_type) WHERE document_type = 'receipt'", "This order has its receipt already."
    )
    _fd_number_uniq = models.UniqueIndex(
        "(fiscal_drive_number, fd_number) WHERE fd_number > 0", "This FD number was given already."
    )
    _queue_number_uniq = models.UniqueIndex("(register_id, queue_number)", "This place in the queue was given already.")
    # One is under way; the one right behind it, whose place is even where that one's is odd, may be claimed already. By owner: to
    # enter a claim PostgreSQL looks at all that had its key before, as long as an old snapshot, a backup's, keeps them.
    _claims_uniq = models.UniqueIndex(
        "(register_id, COALESCE(delivery_epoch, 0), (queue_number % 2)) WHERE state = 'sending'",
        "A register sends one document at a time.",
    )
    _queue_idx = models.Index("(register_id, queue_number) WHERE state IN ('pending', 'sending')")
    _rejected_idx = models.Index("(register_id) WHERE state = 'rejected' AND handled_at IS NULL")
    _drift_idx = models.Index("(create_date) WHERE hlc_drift")
    _delivered_idx = models.Index("USING brin (delivered_at)")
    _built = models.Constraint(
        "CHECK (state = 'rejected' OR (payload IS NOT NULL AND protocol IS NOT NULL AND COALESCE(queue_number, 0) > 0))",
        "Only a document that was built can be sent.",
    )
    _numbered = models.Constraint(
        """CHECK (state = 'rejected' OR (COALESCE(fd_number, 0) > 0 AND fiscal_sign IS NOT NULL)
                  OR (COALESCE(numbers_follow, FALSE) AND state <> 'delivered'))""",
        "A document has its FD number and sign: at once, or with the answer that delivers it.",
    )
    _settlement = models.Constraint(
        f"""CHECK (state = 'rejected' OR document_type NOT IN {SETTLEMENTS} OR (operation_type IS NOT NULL AND total IS NOT NULL
                   AND (qr IS NOT NULL OR COALESCE(fd_number, 0) = 0)))""",
        "A receipt has its operation and its sum, and its QR code as soon as it is numbered.",
    )
    _in_shift = models.Constraint("CHECK (payload IS NULL OR shift_id IS NOT NULL)", "Each document belongs to a shift.")
    _shift_report_uniq = models.UniqueIndex(
        "(shift_id, document_type) WHERE document_type IN ('shift_open', 'shift_close')", "A shift is opened and closed once."
    )
    _delivered = models.Constraint(
        "CHECK ((state = 'delivered') = (delivered_at IS NOT NULL))", "A delivered receipt has its time of delivery."
    )
    _handled = models.Constraint(
        "CHECK (handled_at IS NULL OR (state = 'rejected' AND handled_reason IS NOT NULL))", "Only what was rejected is handled."
    )
    _hlc_positive = models.Constraint('CHECK (hlc_logical_counter >= 0)', "An HLC counter is not negative.")

    @api.depends('document_type', 'fd_number', 'payload')
    def _compute_display_name(self):
        types = dict(self._fields['document_type']._description_selection(self.env))
        for receipt in self:
            number = (
                self.env._("FD %s", receipt.fd_number)
                if receipt.fd_number
                else self.env._("not numbered yet")
                if receipt.payload
                else self.env._("not built")
            )
            receipt.display_name = f"{types[receipt.document_type]} ({number})"

    @api.depends('state', 'in_doubt', 'failures')
    def _compute_may_be_sent_anew(self):
        """A person may give up where it was sent: it does not tell, although it was asked so often."""
        tries = self.env['kkt.delivery']._get_number('poison_tries')
        for receipt in self:
            receipt.may_be_sent_anew = receipt.state == 'pending' and receipt.in_doubt and receipt.failures >= tries

    def _get_stamps(self):
        return [hlc.Timestamp(each.hlc_local_time, each.hlc_logical_counter, each.hlc_node) for each in self if each.hlc_node]

    @api.model
    def _get_new_key(self):
        database = self.env['ir.config_parameter'].sudo().get_param('database.uuid')
        return f"{database}.{uuid4()}"

    def write(self, vals):
        fixed = IMMUTABLE & set(vals)
        if fixed and self.filtered('payload'):
            raise UserError(
                self.env._(
                    "A numbered fiscal document never changes. What was wrong in it is put right by a correction receipt: a"
                    " fiscal administrator opens it under Fiscal Receipts and presses Correct."
                )
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Fiscal receipts are never deleted: the law asks to keep them."))

    # -- how one comes to be -----------------------------------------------------------------------------------------------

    def _issue(self, register, document_type, source, operation_type=False):
        """Issue a document: a new one, or this one, which could not be built before.

        Whatever is wrong with it, its source is stored: the document is then rejected, with the reason, for a person to look at.
        """
        values = self._get_references(register, document_type, source, operation_type)
        try:
            built = self._build(register, document_type, source, operation_type, values['idempotency_key'])
        except psycopg2.Error:
            raise
        except DocumentError as error:
            built = {'state': 'rejected', 'last_error': self.env['kkt.explanation']._explain(error)}
        except Exception as error:
            _logger.exception("The fiscal document of %s could not be built", source.display_name)
            built = {'state': 'rejected', 'last_error': self.env['kkt.explanation']._explain_defect(error)}
        return self._store({**values, **built})

    @api.model
    def _issue_report(self, register, document_type, shift):
        """Issue a report on a shift. It is signed, or it is not made at all.

        :raises DocumentError: what is wrong with it; nothing is left of it
        """
        values = self._get_references(register, document_type, shift)
        return self.create({**values, **self._build(register, document_type, shift, False, values['idempotency_key'])})

    def _get_references(self, register, document_type, source, operation_type=False):
        return {
            'register_id': register.id,
            'document_type': document_type,
            'operation_type': operation_type,
            'idempotency_key': self.idempotency_key or self._get_new_key(),
            **source._kkt_get_references(operation_type),
        }

    def _store(self, values):
        if not self:  # what is nothing need not be written
            return self.create({name: value for name, value in values.items() if value is not False})
        self.write(values)
        return self

    def _issue_after_all(self):
        """Issue what could not be built, by what its source states today."""
        source = self._get_source()
        self._issue(source._kkt_get_register() or self.register_id, self.document_type, source, self.operation_type)

    def _get_source(self):
        """What the document is about."""
        return self.pos_order_id

    def _build(self, register, document_type, source, operation_type, key):
        """The source states, the register numbers, its driver signs, the transport makes the envelope.

        :return: values of the receipt
        :raises DocumentError: what is wrong with the source
        """
        body = source._kkt_get_body(register, operation_type)
        in_shift = {'shift_id': register._ensure_shift(body.get('operator')).id} if document_type in SETTLEMENTS else {}
        driver = DRIVERS[register.driver]
        place = register._take_place(document_type, driver.at_once, *source._kkt_get_stamps())
        document, fiscal_data = driver.sign(body, place.numbers)
        return {
            **in_shift,
            'state': 'pending',
            'last_error': False,
            'queue_number': place.queue_number,
            **{f'hlc_{name}': part for name, part in place.stamp._asdict().items()},
            'hlc_drift': place.drifted,
            'total': document.get('totalSum'),
            'amount_signed': signed_total(document) / 100,
            'numbers_follow': fiscal_data is None,
            **(fiscal_data._asdict() if fiscal_data else {}),
            'protocol': place.protocol,
            'payload': PROTOCOLS[place.protocol].encode(
                Contents(
                    key,
                    document_type,
                    register.fiscal_drive_number,
                    register.registration_number,
                    fiscal_data and fiscal_data.fd_number,
                    place.stamp,
                    document,
                    place.numbers.moment.utcoffset() // timedelta(hours=1),
                    on_paper=register.printed_by == 'register',
                )
            ),
        }
