import re

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..core import registration_number, text
from ..core.contact import as_email
from ..core.document_error import DocumentError
from ..core.ffd import RECEIPT
from ..core.fiscal_data import TEST_DRIVES
from ..core.inn import is_inn
from ..core.tags import TAGS

LARGEST_USER_PROPERTY = TAGS[1084].length - 8  # the heads of two tags


class KktRegister(models.Model):
    """What documents say of their register, its owner and its place, and whether that is right.

    What is wrong is refused when it is written. What stands there already, or became wrong with a change elsewhere, is
    listed on the register with what to do about it, and the register goes on selling.
    """

    _inherit = 'kkt.register'

    inn = fields.Char("INN", related='company_id.vat', store=True, help="Tag 1018.")  # kept here: one question less for a sale
    receipt_property = fields.Char("Additional Requisite of Receipts", help="Tag 1192, up to 16 characters, on each receipt.")
    user_property_name = fields.Char(
        "Additional Requisite", help="Tag 1085: what the shop states in addition on each receipt, for example a licence."
    )
    user_property_value = fields.Char("Its Value", help="Tag 1086.")
    check_list = fields.Html(compute='_compute_check_list', compute_sudo=True)
    registration_number_problem = fields.Char(compute='_compute_number_problems', compute_sudo=True)
    fiscal_drive_number_problem = fields.Char(compute='_compute_number_problems', compute_sudo=True)

    @api.depends(
        'registration_number',
        'serial_number',
        'fiscal_drive_number',
        'driver',
        'ofd_id.protocol',
        'retail_address',
        'retail_place',
        'company_id.name',
        'inn',
        'company_id.email',
        'receipt_property',
        'user_property_name',
        'user_property_value',
    )
    def _compute_check_list(self):
        for register in self:
            problems = register._get_check_list()
            register.check_list = bool(problems) and Markup('<ul class="mb-0">%s</ul>') % Markup().join(
                Markup('<li>%s</li>') % problem for problem in problems
            )

    @api.depends('registration_number', 'serial_number', 'fiscal_drive_number', 'driver', 'company_id.vat')
    def _compute_number_problems(self):
        """What is wrong with what is being typed in, at its field."""
        for register in self:
            typed = register.registration_number and register.serial_number  # the one is checked by the other
            register.registration_number_problem = typed and register._get_registration_number_problem()
            register.fiscal_drive_number_problem = register.fiscal_drive_number and register._get_fiscal_drive_problem()

    @api.constrains('registration_number', 'serial_number')
    def _check_registration_number(self):
        self._refuse('registration_number')

    @api.constrains('fiscal_drive_number', 'driver')
    def _check_fiscal_drive_number(self):
        self._refuse('fiscal_drive_number')

    @api.constrains('company_id')
    def _check_company_inn(self):
        self._refuse('inn')

    @api.constrains('retail_address', 'retail_place')
    def _check_place(self):
        self._refuse('retail_address', 'retail_place')

    @api.constrains('receipt_property', 'user_property_name', 'user_property_value')
    def _check_properties(self):
        self._refuse('receipt_property', 'user_property')

    def _refuse(self, *names):
        for register in self:
            problems = register._get_problems()
            if wrong := [problems[name] for name in names if name in problems]:
                raise ValidationError(wrong[0])

    def _get_problems(self):
        """What is wrong, each in a sentence that says what to do, by what it is about."""
        problems = {
            'inn': self._get_inn_problem(),
            'registration_number': self._get_registration_number_problem(),
            'fiscal_drive_number': self._get_fiscal_drive_problem(),
            'receiver': self._get_receiver_problem(),
            'sender': self._get_sender_problem(),
            'user': self._get_text_problem(self.company_id, 'name', 1048),
            'retail_address': self._get_text_problem(self, 'retail_address', 1009),
            'retail_place': self._get_text_problem(self, 'retail_place', 1187),
            'receipt_property': self._get_text_problem(self, 'receipt_property', 1192),
            'user_property': self._get_user_property_problem(),
        }
        return {name: problem for name, problem in problems.items() if problem}

    def _get_inn_problem(self):
        if not is_inn(self.inn):
            return self.env._(
                "%(company)s has no valid INN as its tax ID, and a fiscal receipt must state one. Correct it on the company.",
                company=self.company_id.name,
            )

    def _get_registration_number_problem(self):
        number, serial_number, inn = self.registration_number, self.serial_number, self.inn
        if not registration_number.has_form(number):
            return self.env._("A registration number (RNM) has 16 digits. Copy it from the register's registration card.")
        right = registration_number.complete(number, inn or '', serial_number or '')
        if is_inn(inn) and number != right:
            return self.env._(
                "The last six digits of the registration number (RNM) %(number)s don't fit to INN %(inn)s and serial number"
                " %(serial)s. If these are right, the number is %(right)s. Compare all three with the registration card.",
                number=number,
                inn=inn,
                serial=serial_number,
                right=right,
            )

    def _get_fiscal_drive_problem(self):
        number = self.fiscal_drive_number or ''
        if not re.fullmatch('[0-9]{16}', number):
            return self.env._("A fiscal drive number (FN) has 16 digits. Copy it from the drive.")
        if self.driver == 'emulator' and not number.startswith(TEST_DRIVES):
            return self.env._(
                "The emulated register only takes fiscal drive numbers that start with 9999, which are reserved for tests."
            )
        if self.driver != 'emulator' and number.startswith(TEST_DRIVES):
            return self.env._(
                "Fiscal drive numbers that start with 9999 are reserved for tests: only the emulated register takes them."
            )

    def _get_receiver_problem(self):
        if self.driver != 'emulator' and self.ofd_id and not self.ofd_id._is_register():
            return self.env._(
                "This register numbers and signs elsewhere, but %(ofd)s is spoken to by a protocol that brings no numbers back:"
                " its documents would be held. Choose the register's own protocol there.",
                ofd=self.ofd_id.name,
            )

    def _get_sender_problem(self):
        if self.ofd_id and self._is_receiver('names_buyer') and not as_email(self.company_id.email):
            return self.env._(
                "%(ofd)s states the shop's e-mail address on each receipt, and %(company)s has none, or none of that form. Set it"
                " on the company.",
                ofd=self.ofd_id.name,
                company=self.company_id.name,
            )

    def _check_inn(self):
        """:raises DocumentError: the company's tax ID is no INN"""
        if not is_inn(self.inn):
            raise DocumentError('inn', company=self.company_id.name)

    def _get_text_problem(self, record, name, tag):
        """A text is stated as it stands there, and there is one where receipts must have it."""
        value, length = record[name] or '', TAGS[tag].length
        where = self.env._(
            "%(field)s of %(record)s", field=record._fields[name].get_description(self.env)['string'], record=record.name
        )
        if lost := text.lost(value):
            return self.env._(
                "%(where)s has characters that a fiscal receipt can't state: %(characters)s. Write it without them.",
                where=where,
                characters=lost,
            )
        if len(text.fit(value, 4 * len(value))) > length:
            return self.env._(
                "%(where)s is longer than the %(length)s characters that a fiscal receipt states. Shorten it.",
                where=where,
                length=length,
            )
        if RECEIPT in TAGS[tag].required_in and not text.fit(value, length):
            return self.env._("%(where)s is empty, and a fiscal receipt must state it. Fill it in.", where=where)

    def _get_user_property_problem(self):
        name, value = self.user_property_name or '', self.user_property_value or ''
        if bool(name.strip()) != bool(value.strip()):
            return self.env._("The additional requisite has a name and a value. Fill in both, or none.")
        if len(name) + len(value) > LARGEST_USER_PROPERTY:
            return self.env._(
                "The additional requisite and its value have more than %s characters together. Shorten them.",
                LARGEST_USER_PROPERTY,
            )
        return self._get_text_problem(self, 'user_property_name', 1085) or self._get_text_problem(
            self, 'user_property_value', 1086
        )

    def _get_head_values(self):
        """Who sells and where, by FNS JSON names."""
        properties = {'propertyName': self.user_property_name, 'propertyValue': self.user_property_value}
        return {
            'user': self.company_id.name,
            'userInn': (self.inn or '').ljust(12),
            'kktRegId': self.registration_number.ljust(20),
            'retailPlaceAddress': self.retail_address,
            'retailPlace': self.retail_place,
            'appliedTaxationType': int(self.taxation_system),
            **({'propertiesData': self.receipt_property} if self.receipt_property else {}),
            **({'properties': properties} if all(properties.values()) else {}),
        }
