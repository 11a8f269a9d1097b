def uninstall_hook(env):
    """Remove what was made by hand or at run time: Odoo itself removes only what came with the addon.

    Left alone, a copied delivery cron keeps the model that it runs, and an alarm's activity the type that it has.
    """
    env = env(context={**env.context, 'active_test': False})
    env['ir.cron'].search([('model_id.model', '=like', 'kkt.%')]).unlink()
    env['mail.activity'].search([('activity_type_id', '=', env.ref('opterp_kkt.mail_activity_type_alarm').id)]).unlink()
    env['ir.config_parameter'].search([('key', '=like', 'opterp_kkt.%')]).unlink()
