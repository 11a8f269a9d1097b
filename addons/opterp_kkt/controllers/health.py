from odoo.http import Controller, request, route


class KktHealth(Controller):
    @route('/kkt/health', type='http', auth='none', methods=['GET'], save_session=False)
    def health(self):
        """For monitoring: 200, or 503 with the reasons. Not for a load balancer: a shop sells while nothing is delivered."""
        report = request.env['kkt.health'].sudo()._get_report()
        return request.make_json_response(
            report, headers=[('Cache-Control', 'no-store')], status=200 if report['status'] == 'pass' else 503
        )
