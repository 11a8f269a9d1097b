from xmlrpc.client import MAXINT

from odoo import fields


class BigInteger(fields.Integer):
    """Integer of eight bytes: milliseconds since 1970 and kopecks don't fit into four."""

    _column_type = ('int8', 'int8')


class BigIntegerJson(fields.Json):
    """JSON with such integers inside. XML-RPC has none, so they are read as floats, as Odoo does with those of its fields."""

    def convert_to_read(self, value, record, use_display_name=True):
        return _readable(super().convert_to_read(value, record, use_display_name))


def _readable(value):
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return float(value) if isinstance(value, int) and value > MAXINT else value
