from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools.sql import constraint_definition

from ..core import shift
from ..transports import PROTOCOLS
from .kkt_receipt import SETTLEMENTS

# What is signed already, or still to be signed by a register elsewhere: not what that one has refused.
MADE = "shift_id = %s AND payload IS NOT NULL AND (fd_number > 0 OR state <> 'rejected')"
SIGNED = f"SELECT id, protocol, payload FROM kkt_receipt WHERE {MADE} AND document_type = ANY(%s)"
COUNTED = f"SELECT count(*) FROM kkt_receipt WHERE {MADE}"
WAITING = """
    SELECT count(*), min(create_date) FROM kkt_receipt WHERE register_id = %s AND state IN ('pending', 'sending')
"""
# A document's shift is one of its register and drive; where a register elsewhere numbers it, its answer says which drive it was.
# The ORM drops foreign keys that begin with the column of a Many2one, so these begin with columns that PostgreSQL fills.
OF_ITS_SHIFT = """
    ALTER TABLE kkt_receipt ADD COLUMN IF NOT EXISTS shift_register_id int4 GENERATED ALWAYS AS (register_id) STORED;
    ALTER TABLE kkt_receipt ADD COLUMN IF NOT EXISTS shift_drive_number varchar
          GENERATED ALWAYS AS (CASE WHEN numbers_follow THEN NULL ELSE fiscal_drive_number END) STORED;
    CREATE UNIQUE INDEX IF NOT EXISTS kkt_shift_of_register_uniq ON kkt_shift (register_id, id);
    CREATE UNIQUE INDEX IF NOT EXISTS kkt_shift_of_drive_uniq ON kkt_shift (fiscal_drive_number, id);
"""
FOREIGN_KEYS = {
    'kkt_receipt_shift_of_register_fkey': """
    ALTER TABLE kkt_receipt ADD CONSTRAINT kkt_receipt_shift_of_register_fkey
          FOREIGN KEY (shift_register_id, shift_id) REFERENCES kkt_shift (register_id, id)""",
    'kkt_receipt_shift_of_drive_fkey': """
    ALTER TABLE kkt_receipt ADD CONSTRAINT kkt_receipt_shift_of_drive_fkey
          FOREIGN KEY (shift_drive_number, shift_id) REFERENCES kkt_shift (fiscal_drive_number, id)""",
}


class KktShift(models.Model):
    """A shift of a register: from the report on its opening to the report on its closing, with the documents between them.

        _open ─ document 2 ─> receipts, corrections ─ _close ─ document 5, counters ─> closed

    A shift belongs to the register, not to a session of its point of sale: `kkt.register._ensure_shift` opens it for whatever is
    fiscalised, in the same transaction, and renews it after 24 hours. Opening, closing and each document between them write the
    register's row, so they pass one after another.

    The counters are computed from the shift's signed documents when it is closed; those of the drive are the last closing's
    plus the shift's, so that a closing costs the same after ten million receipts.
    """

    _name = 'kkt.shift'
    _description = "Shift"
    _order = 'id DESC'

    register_id = fields.Many2one('kkt.register', required=True, readonly=True, index=True, ondelete='restrict')
    company_id = fields.Many2one(related='register_id.company_id')
    fiscal_drive_number = fields.Char("Fiscal Drive (FN)", required=True, readonly=True)
    number = fields.Integer(readonly=True, help="Tag 1038: counts per fiscal drive.")
    opened_at = fields.Datetime(readonly=True, help="Tag 1012 of the report on its opening.")
    opened_by = fields.Char(readonly=True, help="Tag 1021 of the report on its opening.")
    closed_at = fields.Datetime(readonly=True, help="Tag 1012 of the report on its closing.")
    closed_by = fields.Char(readonly=True, help="Tag 1021 of the report on its closing.")
    document_ids = fields.One2many('kkt.receipt', 'shift_id', "Documents", readonly=True)
    counters = fields.Json("Counters of the Shift", readonly=True, help="Tag 1194, kopecks by FNS JSON names.")
    drive_counters = fields.Json("Counters of the Drive", readonly=True, help="Tag 1157, kopecks by FNS JSON names.")
    other_rates = fields.Json(readonly=True, help="VAT of 5, 7 and 22 %, which the format's counters have no place for.")

    _number_uniq = models.UniqueIndex("(fiscal_drive_number, number) WHERE number > 0", "This shift number was given already.")
    _one_open = models.UniqueIndex("(register_id) WHERE closed_at IS NULL", "A register has one open shift at a time.")
    _last_of_drive_idx = models.Index("(fiscal_drive_number, id) WHERE closed_at IS NOT NULL")
    _counted = models.Constraint(
        "CHECK (closed_at IS NULL OR (counters IS NOT NULL AND drive_counters IS NOT NULL))", "A closed shift has its counters."
    )

    def init(self):
        """A document stands in a shift of its own register and drive: PostgreSQL says so."""
        self.env.cr.execute(OF_ITS_SHIFT)
        for name, statement in FOREIGN_KEYS.items():
            if not constraint_definition(self.env.cr, 'kkt_receipt', name):
                self.env.cr.execute(statement)

    @api.depends('number')
    def _compute_display_name(self):
        for record in self:
            number = record._get_number()
            record.display_name = self.env._("Shift %s", number) if number else self.env._("Shift (not numbered yet)")

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Shifts are never deleted: the law asks to keep their documents."))

    def _get_report(self, document_type):
        return self.document_ids.filtered(lambda document: document.document_type == document_type)

    # -- opening and closing -----------------------------------------------------------------------------------------------

    @api.model
    def _open(self, register, cashier):
        """Open a shift of a register that has none open.

        Whoever has opened one since this transaction began has written the register's row: then Odoo tries all of it again.

        :raises DocumentError: what its report can't state; no shift is opened then
        """
        self.env.cr.execute("SELECT FROM kkt_register WHERE id = %s FOR NO KEY UPDATE", [register.id])
        with self.env.cr.savepoint():
            opened = self.create(
                {'register_id': register.id, 'fiscal_drive_number': register.fiscal_drive_number, 'opened_by': cashier}
            )
            opened._take_sessions()
            report = opened._report('shift_open')
            opened.write({'number': report.shift_number, 'opened_at': register._get_last_moment()})
            register.write({'shift_id': opened.id, 'shift_opened_time': register.last_document_time})
        return opened

    def _close(self, cashier):
        """Close this open shift.

        :raises DocumentError: what its report can't state; it stays open then
        """
        register = self.register_id
        with self.env.cr.savepoint():
            self.write({'closed_by': cashier, **self._count()})
            self._report('shift_close')
            self.closed_at = register._get_last_moment()
            register.write({'shift_id': False, 'shift_opened_time': 0})

    def _report(self, document_type):
        """The report of that kind; none where a register elsewhere keeps its shifts by itself: there only time passes."""
        if not self.register_id._is_receiver('keeps_shifts'):
            return self.env['kkt.receipt']._issue_report(self.register_id, document_type, self)
        self.register_id.last_document_time = self.register_id._get_time()
        return self.env['kkt.receipt']

    def _get_number(self):
        """Tag 1038: its own, that of the report on its opening, or that which the first of its documents brought."""
        number = self.number or self._get_report('shift_open').shift_number
        numbered = [('shift_id', '=', self.id), ('shift_number', '>', 0)]
        return number or self.env['kkt.receipt'].search(numbered, order='id', limit=1).shift_number

    def _count(self):
        """The counters of this shift, of its drive, and of the rates that have no counters in the format."""
        documents = self._get_signed_documents().values()
        counters = shift.fold(documents)
        return {
            'counters': counters,
            'drive_counters': shift.add(self._get_last_of_drive().drive_counters or {}, counters),
            'other_rates': shift.fold_rates(documents),
        }

    def _get_last_of_drive(self):
        """The shift of the same drive that was closed before this one."""
        return self.search(
            [('fiscal_drive_number', '=', self.fiscal_drive_number), ('closed_at', '!=', False), ('id', '<', self.id)], limit=1
        )

    def _get_signed_documents(self):
        """By the ids of their receipts."""
        self.env['kkt.receipt'].flush_model()
        self.env.cr.execute(SIGNED, [self.id, list(SETTLEMENTS)])
        return {receipt: PROTOCOLS[protocol].decode(payload).document for receipt, protocol, payload in self.env.cr.fetchall()}

    # -- the source of its two reports -------------------------------------------------------------------------------------

    def _kkt_get_references(self, operation_type):
        return {'shift_id': self.id}

    def _kkt_get_register(self):
        return self.register_id

    def _kkt_get_stamps(self):
        return [], None

    def _kkt_get_body(self, register, operation_type):
        """The report on the opening of a shift that is being opened, else the one on its closing."""
        count, since = self._get_waiting(register)
        silence = self.env.cr.now() - since if since else timedelta()
        head = {**register._get_head_values(), 'operator': self.closed_by or self.opened_by}
        if not self.opened_at:
            return shift.opening(head, silence)
        self.env.cr.execute(COUNTED, [self.id])
        documents = self.env.cr.fetchone()[0] + 1  # and this one
        waiting = shift.undelivered(count, since and register._get_local(since))
        return shift.closing(head, silence, documents, self.counters, self.drive_counters, waiting)

    def _get_waiting(self, register):
        """How many documents the OFD has not acknowledged, and since when the first of them waits."""
        self.env['kkt.receipt'].flush_model()
        self.env.cr.execute(WAITING, [register.id])
        return self.env.cr.fetchone()
