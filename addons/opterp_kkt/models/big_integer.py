from odoo import fields


class BigInteger(fields.Integer):
    """Integer of eight bytes: milliseconds since 1970 and kopecks don't fit into four."""
    _column_type = ('int8', 'int8')
