# pytest also imports this package, as the parent of tests that run without Odoo, where a model can't be defined.
if __name__.startswith('odoo.addons.'):
    from . import models
