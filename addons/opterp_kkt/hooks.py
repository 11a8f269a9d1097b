def uninstall_hook(env):
    """Remove what Odoo itself leaves: it removes what came with the addon, not what people set or did.

    An alarm's activity that was marked as done would keep the type that it has.
    """
    kind = env.ref('opterp_kkt.mail_activity_type_alarm')
    env['mail.activity'].with_context(active_test=False).search([('activity_type_id', '=', kind.id)]).unlink()
    env['ir.config_parameter'].search([('key', '=like', 'opterp_kkt.%')]).unlink()
