from io import BytesIO

import polib

from odoo.tests import TransactionCase, tagged
from odoo.tools import file_path
from odoo.tools.translate import trans_export


@tagged('post_install', '-at_install')
class TestTranslations(TransactionCase):
    """A term is said in Russian only where the file says that it stands: Odoo loads it for those places alone."""

    def test_files_name_every_place(self):
        exported = BytesIO()
        trans_export(False, ['opterp_kkt'], exported, 'po', self.env)
        places = _get_places(exported.getvalue().decode())
        for name in ('opterp_kkt.pot', 'ru.po'):
            with self.subTest(name):
                named = _get_places(file_path(f'opterp_kkt/i18n/{name}'))
                self.assertEqual((places - named, named - places), (set(), set()))


def _get_places(file):
    return {(entry.msgid, place) for entry in polib.pofile(file) for place, _line in entry.occurrences}
