from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import NotFound, Unauthorized

from odoo.http import Controller, request, route
from odoo.tools import consteq


class KktMetrics(Controller):
    @route('/kkt/metrics', type='http', auth='none', methods=['GET'], save_session=False)
    def metrics(self):
        """For monitoring, in the OpenMetrics format. It names registers, so it asks for a token: without one set, no page."""
        metrics = request.env['kkt.metrics'].sudo()
        token = metrics._get_token()
        if not token:
            raise NotFound
        given = request.httprequest.headers.get('Authorization', '')
        if not consteq(given.encode(), f"Bearer {token}".encode()):
            raise Unauthorized(www_authenticate=None)
        return request.make_response(
            generate_latest(metrics), headers=[('Content-Type', CONTENT_TYPE_LATEST), ('Cache-Control', 'no-store')]
        )
