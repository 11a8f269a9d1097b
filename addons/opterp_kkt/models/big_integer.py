import json
from xmlrpc.client import MAXINT

from odoo import fields


class BigInteger(fields.Integer):
    """Integer of eight bytes: milliseconds since 1970 and kopecks don't fit into four."""

    _column_type = ('int8', 'int8')


class BigIntegerJson(fields.Json):
    """JSON with such integers inside. XML-RPC has none, so they are read as floats, as Odoo does with those of its fields."""

    def convert_to_record(self, value, record):
        # OVERRIDE: a copy, as there, at a fraction of the cost
        return False if value is None else json.loads(json.dumps(value))

    def convert_to_read(self, value, record, use_display_name=True):
        return json.loads(json.dumps(super().convert_to_read(value, record, use_display_name)), parse_int=_readable)


def _readable(digits):
    number = int(digits)
    return float(number) if number > MAXINT else number
