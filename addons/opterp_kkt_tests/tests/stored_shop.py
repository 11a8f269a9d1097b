import json
from unittest.mock import patch

from odoo import SUPERUSER_ID, models
from odoo.api import Environment
from odoo.modules.registry import Registry
from odoo.tests import TransactionCase
from odoo.tests.common import get_db_name

from odoo.addons.base.tests.common import BaseCommon
from odoo.addons.point_of_sale.tests.common import TestPoSCommon

PARAMETER = 'opterp_kkt_tests.shop'


def _pack(value):
    """As JSON has it; records become their model and ids."""
    if isinstance(value, models.BaseModel):
        return {'model': value._name, 'ids': value.ids}
    return {name: _pack(part) for name, part in value.items()} if isinstance(value, dict) else value


def _unpack(value, env):
    if not isinstance(value, dict):
        return value
    if set(value) == {'model', 'ids'}:
        return env[value['model']].browse(value['ids'])
    return {name: _unpack(part, env) for name, part in value.items()}


class StoredShop(TestPoSCommon):
    """The shop of Odoo's own tests of the point of sale, and what `_make_shop` adds to it, made once for all classes.

    To make it takes longer than the tests of most classes. So `docker/database.sh tested` has it made (`store`) in the database
    that tests' databases are copied from: the records stay there, and a parameter says which attribute of a class is which
    record. A class that finds the parameter takes the attributes from it; in another database each class makes a shop.
    """

    @classmethod
    def setUpClass(cls):
        if stored := cls._read_stored():
            super(BaseCommon, cls).setUpClass()  # past all that Odoo's classes make
            cls._enter(json.loads(stored))
        else:
            super().setUpClass()
            cls._make_shop()

    @classmethod
    def _make_shop(cls):
        """What this class's tests have beside Odoo's own."""

    @classmethod
    def store(cls, env):
        """Make the shop in this database; the caller commits."""
        shop = type('Shop', (cls,), {'env': env})
        before = set(vars(shop))
        with patch.object(TransactionCase, 'setUpClass'):
            shop.setUpClass()
        attributes = {name: _pack(value) for name, value in vars(shop).items() if name not in before}
        shop.company.name = "Shop"
        for user in shop.user + shop.simple_accountman + shop.res_users_stock_user:
            user.login = f'shop_{user.login}'  # classes that are no shop make users of these names
        env['ir.config_parameter'].set_param(PARAMETER, json.dumps(attributes))

    @classmethod
    def _read_stored(cls):
        with Registry(get_db_name()).cursor() as cr:
            return Environment(cr, SUPERUSER_ID, {})['ir.config_parameter'].get_param(PARAMETER)

    @classmethod
    def _enter(cls, attributes):
        user = _unpack(attributes['user'], cls.env)
        cls.env = cls.env(user=user.id, context={**cls.env.context, **cls.default_env_context()})
        for name, value in attributes.items():
            setattr(cls, name, _unpack(value, cls.env))
        if missing := cls.get_default_groups() - user.group_ids:
            user.group_ids |= missing
