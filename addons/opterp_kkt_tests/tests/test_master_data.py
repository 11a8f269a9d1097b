from odoo.exceptions import ValidationError
from odoo.tests import Form, tagged

from odoo.addons.opterp_kkt.core.registration_number import complete

from .common import KktSaleCommon


@tagged('post_install', '-at_install')
class TestMasterData(KktSaleCommon):
    """What a register says of itself, its owner and its place: refused when it is written wrong, listed where it stands wrong."""

    def setUp(self):
        super().setUp()
        self.register.action_close_shift()  # otherwise the open shift is what refuses another drive
        self.env.flush_all()

    def _get_wrong(self, **values):
        """What is said of values that somehow came to be there."""
        self._set_in_sql(self.register, **values)
        self.assertEqual(self._sell([(self.frame, 1)]).kkt_receipt_ids.state, 'pending')  # it goes on selling
        return str(self.register.check_list)

    def _assert_refused(self, words, **values):
        with self._refuses(ValidationError) as refusal:
            self.register.write(values)
        self.assertRegex(str(refusal.exception), words)

    def test_nothing_to_put_right(self):
        self.assertFalse(self.register.check_list)
        self.assertFalse(self.env['res.config.settings'].create({'pos_config_id': self.basic_config.id}).pos_kkt_check_list)

    # -- the registration number -------------------------------------------------------------------------------------------

    def test_registration_number_has_16_digits(self):
        for number in ('123', '12345678901234567', '123456789012345x', '1234 56789012345', '١٢٣٤٥٦٧٨٩٠١٢٣٤٥٦'):
            with self.subTest(number=number):
                self._assert_refused("RNM", registration_number=number)
        self.assertIn("has 16 digits", self._get_wrong(registration_number='123'))

    def test_registration_number_is_checked(self):
        """The vector of the reference, whose check digits are 008570."""
        self.company.vat = '7702203276'
        device = {'serial_number': '000000000002'}
        self.register.write({**device, 'registration_number': '0000000005008570'})
        self._assert_refused("the number is 0000000005008570", registration_number='0000000005008571')
        self._assert_refused("0000000005008570 don't fit", serial_number='000000000003')

    def test_a_wrong_number_is_told_while_it_is_typed_in(self):
        right = self.register.registration_number
        form = Form(self.register)
        form.registration_number = right[:-1]
        self.assertRegex(form.registration_number_problem, "has 16 digits")
        form.fiscal_drive_number = '8710000100000001'
        self.assertRegex(form.fiscal_drive_number_problem, "start with 9999")
        with self.assertRaises(ValidationError):
            form.save()
        form.registration_number, form.fiscal_drive_number = right, self.register.fiscal_drive_number
        self.assertFalse(form.registration_number_problem or form.fiscal_drive_number_problem)
        new = Form(self.env['kkt.register'])
        new.registration_number = right
        self.assertFalse(new.registration_number_problem, "without the serial number there is nothing to check it by")

    def test_wrong_registration_number_of_before(self):
        right = self.register.registration_number
        text = self._get_wrong(registration_number='0000000000000001')
        self.assertIn(f"the number is {complete('0000000000', self.company.vat, self.register.serial_number)}", text)
        self.register.retail_place = "Another Place"
        self.assertIn(
            "0000000000000001",
            str(self.env['res.config.settings'].create({'pos_config_id': self.basic_config.id}).pos_kkt_check_list),
        )
        self.register.registration_number = right
        self.assertFalse(self.register.check_list)

    # -- the INN -----------------------------------------------------------------------------------------------------------

    def test_company_of_a_register_has_an_inn(self):
        for vat in (False, '7700123450', '0000000000', 'BE0477472701'):
            for record in (self.company, self.company.partner_id):
                with self.subTest(vat=vat, record=record), self._refuses(ValidationError) as refusal:
                    record.vat = vat
                self.assertIn("is no INN", str(refusal.exception))

    def test_other_companies_may_have_what_they_like(self):
        self.env['res.partner'].create({'name': "Belgian", 'vat': 'BE0477472701'})
        self._archive_register()
        self.company.vat = False

    def test_register_needs_a_company_with_an_inn(self):
        config = self.env['pos.config'].create({'name': "Other Shop", 'payment_method_ids': self.bank_pm1.ids})
        self._archive_register()
        for vat in (False, '7700123450', '0000000000'):
            self.company.vat = vat
            with self.subTest(vat=vat), self._refuses(ValidationError) as refusal:
                self._create_register(config, registration_number='0' * 16)
            self.assertIn("no valid INN", str(refusal.exception))

    def test_inn_that_is_wrong_by_now(self):
        self._set_in_sql(self.register, inn='7700123450')
        self.assertIn("no valid INN", str(self.register.check_list))
        self.assertIn("has no INN", self._sell([(self.frame, 1)]).kkt_receipt_ids.last_error)

    def test_corrected_inn_shows_in_the_registration_number(self):
        self.company.vat = '7702203276'
        self.assertIn("don't fit to INN 7702203276", str(self.register.check_list))

    # -- the fiscal drive --------------------------------------------------------------------------------------------------

    def test_fiscal_drive_number_has_16_digits(self):
        for number in ('9999', '99990000000000000', '999900000000000x'):
            with self.subTest(number=number):
                self._assert_refused("FN", fiscal_drive_number=number)

    def test_emulated_register_takes_test_drives_only(self):
        self._assert_refused("9999", fiscal_drive_number='8710000100000001')
        self.assertIn("9999", self._get_wrong(fiscal_drive_number='8710000100000001'))

    def test_test_drives_are_for_the_emulated_register_only(self):
        self._set_in_sql(self.register, driver='another')
        self.assertIn("only the emulated register takes them", str(self.register.check_list))

    # -- texts -------------------------------------------------------------------------------------------------------------

    def test_texts_fit(self):
        for name in ('retail_place', 'retail_address'):
            with self.subTest(field=name):
                self._assert_refused("is empty", **{name: " — "[:1]})
                self._assert_refused("longer than the 256", **{name: "я" * 257})
                self._assert_refused("can't state: 眼鏡", **{name: "Shop 眼鏡"})
                self.register[name] = "Оптика «Ясный взгляд» — №1"
        self.assertIn("Register 1 is longer than the 256", self._get_wrong(retail_place="…" * 86))

    def test_name_of_the_seller(self):
        self.company.name = "Café"
        self.assertIn("can't state: é", str(self.register.check_list))

    # -- additional requisites ---------------------------------------------------------------------------------------------

    def test_additional_requisites(self):
        self.register.write(
            {'receipt_property': "A-17", 'user_property_name': "Лицензия", 'user_property_value': "Л041-01137-77"}
        )
        document = self._get_document(self._sell([(self.frame, 1)]).kkt_receipt_ids)
        self.assertEqual(document['propertiesData'], "A-17")
        self.assertEqual(document['properties'], {'propertyName': "Лицензия", 'propertyValue': "Л041-01137-77"})
        self.register.write({'receipt_property': False, 'user_property_name': False, 'user_property_value': False})
        document = self._get_document(self._sell([(self.frame, 1)]).kkt_receipt_ids)
        self.assertFalse({'propertiesData', 'properties'} & set(document))

    def test_additional_requisites_fit(self):
        self._assert_refused("longer than the 16", receipt_property="1" * 17)
        self._assert_refused("Fill in both", user_property_name="Licence")
        self._assert_refused("longer than the 64", user_property_name="1" * 65, user_property_value="1")
        self._assert_refused("more than 312 characters", user_property_name="1" * 64, user_property_value="1" * 249)
        self.register.write({'user_property_name': "1" * 64, 'user_property_value': "1" * 248})
        self.assertEqual(self._sell([(self.frame, 1)]).kkt_receipt_ids.state, 'pending')
