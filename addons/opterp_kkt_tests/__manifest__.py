{
    'name': "OPTERP KKT: tests",
    'summary': "What proves opterp_kkt: tests, an emulated OFD, proofs of concept, measurements",
    'version': '19.0.1.0.0',
    'category': 'Hidden/Tests',
    'author': "OPTERP",
    'maintainers': ['opterp'],
    'license': 'LGPL-3',
    'depends': ['opterp_kkt'],
    'assets': {
        'web.assets_tests': ['opterp_kkt_tests/static/tests/tours/**/*'],
        # Debian's package lists this file, but leaves it out: every unit test would stop at the missing import.
        'web.assets_unit_tests_setup': [('remove', 'mail/static/lib/selfie_segmentation/selfie_segmentation.js')],
        'web.assets_unit_tests': ['opterp_kkt_tests/static/tests/unit/**/*'],
    },
}
