from uuid import uuid4

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from odoo.addons.base.models.res_partner import _tz_get

from ..drivers import DRIVERS
from .big_integer import BigInteger

TAXATION_SYSTEMS = [  # tag 1055, a bit mask
    ('1', "General (OSN)"),
    ('2', "Simplified, income (USN)"),
    ('4', "Simplified, income less expenses (USN)"),
    ('16', "Agricultural (ESHN)"),
    ('32', "Patent (PSN)"),
]
COUNTERS = {  # only the register itself counts
    'last_fd_number',
    'last_queue_number',
    'last_shift_number',
    'last_receipt_number',
    'last_document_time',
    'hlc_node',
    'hlc_local_time',
    'hlc_logical_counter',
    'shift_id',
    'shift_opened_time',
}
WATCHED = {'active', 'company_id', 'fiscal_drive_number', 'ofd_id', 'pos_config_id'}  # a change of these means more than itself


class KktRegister(models.Model):
    """A cash register (KKT) with its fiscal drive: it numbers and signs the documents of one point of sale.

    How it numbers a document stands in `kkt_register_numbers.py`, how two sales pass it one after another in
    `kkt_register_sale_lock.py`, its shift in `kkt_register_shift.py`, its queue in `kkt_register_delivery.py`. Only
    sales, shifts and corrections write this row; what delivery writes stands in `kkt.delivery`, so that the two never conflict.

    FD numbers count per fiscal drive, and drives move: whichever register a drive is in goes on after the drive's last
    document. People may change a register at any time; what would leave sales without receipts is refused here, in words.

    The emulated register's fiscal drives start with 9999, the numbers reserved for tests: its documents are no fiscal
    documents.
    """

    _name = 'kkt.register'
    _description = "Cash Register (KKT)"
    _inherit = ['mail.thread', 'mail.activity.mixin']
    _check_company_auto = True

    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one('res.company', required=True, default=lambda self: self.env.company)
    pos_config_id = fields.Many2one(
        'pos.config',
        "Point of Sale",
        check_company=True,
        tracking=True,
        ondelete='restrict',
        help="One register serves one point of sale.",
    )
    serial_number = fields.Char(required=True, tracking=True)
    registration_number = fields.Char(
        "Registration Number (RNM)",
        required=True,
        tracking=True,
        help="16 digits (tag 1037). The last six are a check of the first ten, the INN and the serial number.",
    )
    fiscal_drive_number = fields.Char("Fiscal Drive (FN)", required=True, tracking=True, help="16 digits (tag 1041).")
    driver = fields.Selection(
        [(name, driver.label) for name, driver in DRIVERS.items()],
        required=True,
        default='emulator',
        help="Who numbers and signs the documents.",
    )
    ofd_id = fields.Many2one('kkt.ofd', "OFD", required=True, check_company=True, ondelete='restrict', tracking=True)
    taxation_system = fields.Selection(
        TAXATION_SYSTEMS, required=True, default=lambda self: self.env.company.kkt_taxation_system, help="Tag 1055."
    )
    retail_address = fields.Char("Address of Settlements", required=True, help="Tag 1009.")
    retail_place = fields.Char("Place of Settlements", required=True, help="Tag 1187: the shop's name, or its site.")
    tz = fields.Selection(_tz_get, "Time Zone", required=True, default='Europe/Moscow', help="Documents show the local time.")

    last_fd_number = fields.Integer("Last FD Number", readonly=True, default=0, copy=False)
    last_queue_number = fields.Integer("Documents Numbered", readonly=True, default=0, copy=False)
    last_shift_number = fields.Integer(readonly=True, default=0, copy=False, help="Tag 1038: counts per fiscal drive.")
    last_receipt_number = fields.Integer(
        "Receipts of the Shift", readonly=True, default=0, copy=False, help="Tag 1042: counts from 1 in each shift."
    )
    last_document_time = BigInteger(readonly=True, default=0, copy=False, help="Time of the last document, ms since 1970.")
    hlc_node = fields.Char("HLC Node", readonly=True, required=True, copy=False, default=lambda self: uuid4().hex[:12])
    hlc_local_time = BigInteger("HLC Time", readonly=True, default=0, copy=False, help="ms since 1970")
    hlc_logical_counter = fields.Integer("HLC Counter", readonly=True, default=0, copy=False)

    receipt_ids = fields.One2many('kkt.receipt', 'register_id', readonly=True)
    delivery_ids = fields.One2many('kkt.delivery', 'register_id', readonly=True)
    _pos_config_uniq = models.UniqueIndex("(pos_config_id) WHERE active", "This point of sale has a register already.")
    _serial_number_uniq = models.Constraint('unique (serial_number)', "There is a register with this serial number already.")
    _fiscal_drive_number_uniq = models.UniqueIndex(
        "(fiscal_drive_number) WHERE active", "This fiscal drive is in another register already."
    )
    _numbers_positive = models.Constraint(
        'CHECK (last_fd_number >= 0 AND last_queue_number >= 0)', "Numbers of documents only grow."
    )

    @api.constrains('active', 'ofd_id')
    def _check_ofd_active(self):
        for register in self:
            if register.active and not register.ofd_id.active:
                raise ValidationError(
                    self.env._(
                        "The OFD %(ofd)s is archived, so nothing is sent to it. Choose another one for %(register)s, or"
                        " un-archive the OFD first.",
                        ofd=register.ofd_id.name,
                        register=register.name,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        registers = super().create([{k: v for k, v in vals.items() if k not in COUNTERS} for vals in vals_list])
        self.env['kkt.delivery'].sudo().create([{'register_id': register.id} for register in registers])
        registers._find_last_numbers()
        registers._tell_of_earlier_orders()
        return registers

    def write(self, vals):
        if COUNTERS & set(vals) and not self.env.su:
            raise AccessError(self.env._("The numbers of a register are counted, not written."))
        changed = {name: self._get_changed(name, vals) for name in WATCHED & set(vals)}
        none = self.browse()
        moved, switched = changed.get('pos_config_id', none), changed.get('active', none)
        (moved | switched).filtered('active')._check_sells_nothing()
        (moved | switched | changed.get('fiscal_drive_number', none))._check_shift_closed()
        changed.get('company_id', none)._check_numbered_nothing()
        changed.get('ofd_id', none)._note_in_doubt()
        result = super().write(vals)
        (changed.get('fiscal_drive_number', none) | switched)._find_last_numbers()
        moved._tell_of_earlier_orders()
        return result

    def _get_changed(self, name, vals):
        """The registers of which these values change a field."""
        write = self._fields[name].convert_to_write
        return self.filtered(lambda register: write(register[name], register) != (vals[name] or False))

    def _check_sells_nothing(self):
        """A till that has loaded its register goes on as if it had it."""
        session = (
            self.env['pos.session']
            .sudo()
            .search([('config_id', 'in', self.pos_config_id.ids), ('state', '!=', 'closed')], limit=1)
        )
        if session:
            raise UserError(
                self.env._(
                    "%(pos)s is open: what it sells from now on would have no fiscal receipts. Close its session first. If the"
                    " device or its fiscal drive was replaced, change the serial number or the drive here: only the shift has to"
                    " be closed for that.",
                    pos=session.config_id.name,
                )
            )

    def _check_numbered_nothing(self):
        for register in self.filtered('last_queue_number'):
            raise UserError(
                self.env._(
                    "%(register)s has numbered documents of %(company)s, so it stays with that company. Archive it and create"
                    " another register.",
                    register=register.name,
                    company=register.company_id.name,
                )
            )

    def _get_in_doubt(self):
        """Documents that have been sent, and nobody knows whether they have arrived."""
        return (
            self.env['kkt.receipt']
            .sudo()
            .search(
                [
                    ('register_id', 'in', self.ids),
                    ('state', 'in', ('pending', 'sending')),
                    '|',
                    ('in_doubt', '=', True),
                    ('state', '=', 'sending'),
                ],
                order='queue_number',
            )
        )

    def _note_in_doubt(self):
        for register in self:
            if receipts := register._get_in_doubt():
                register.message_post(body=register._describe_in_doubt(receipts))

    def _describe_in_doubt(self, receipts):
        return self.env._(
            "The OFD was changed while %(ofd)s may have a document that it has not acknowledged: %(documents)s. It is"
            " settled with %(ofd)s first; what comes after it goes to the new OFD.",
            ofd=self.ofd_id.name,
            documents=", ".join(receipts.mapped('display_name')),
        )

    @api.onchange('ofd_id')
    def _onchange_ofd_id(self):
        earlier = self._origin
        receipts = earlier.ofd_id != self.ofd_id and earlier._get_in_doubt()
        if receipts:
            return {'warning': {'title': self.env._("A document is on its way"), 'message': earlier._describe_in_doubt(receipts)}}

    def _tell_of_earlier_orders(self):
        """Say on the register that what its point of sale sold without one has no receipts, so that nobody waits for them."""
        for register in self.filtered('pos_config_id'):
            count = (
                self.env['pos.order']
                .sudo()
                .search_count(
                    [
                        ('config_id', '=', register.pos_config_id.id),
                        ('state', 'not in', ('draft', 'cancel')),
                        ('kkt_receipt_ids', '=', False),
                    ]
                )
            )
            if count:
                register.message_post(
                    body=self.env._(
                        "Orders of %(pos)s that were paid before without a cash register: %(count)s. They have no fiscal receipts"
                        " and get none. A refund of such an order gets its receipt.",
                        pos=register.pos_config_id.name,
                        count=count,
                    )
                )

    def _find_last_numbers(self):
        """Go on where the register's drive stopped, in whichever register that was; a new drive begins at 0."""
        for register in self:
            last = (
                self.env['kkt.receipt']
                .sudo()
                .search(
                    [('fiscal_drive_number', '=', register.fiscal_drive_number), ('fd_number', '>', 0)],
                    order='fd_number DESC',
                    limit=1,
                )
            )
            register.sudo().write({f'last_{name}': last[name] for name in ('fd_number', 'shift_number', 'receipt_number')})

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        if any(register.last_queue_number or register.receipt_ids for register in self.sudo()):
            raise UserError(
                self.env._("A register that has documents can't be deleted: the law asks to keep them. Archive it instead.")
            )

    def action_open_receipts(self):
        """The documents of this register."""
        return {
            **self.env['ir.actions.act_window']._for_xml_id('opterp_kkt.kkt_receipt_action'),
            'domain': [('register_id', 'in', self.ids)],
        }
