import logging
import re

from werkzeug.exceptions import NotFound

from odoo.http import Controller, request, route

PLAIN = {'methods': ['POST'], 'csrf': False, 'save_session': False, 'readonly': False, 'max_content_length': 64 * 1024}
SECRET = re.compile(r'(/kkt/callback/)[^\s?"]+')


class HideSecrets(logging.Filter):
    """Odoo logs the address of each request, and of this one a part is a secret."""

    def filter(self, record):
        """Let it pass, without the secret."""
        message = record.getMessage()
        if '/kkt/callback/' in message:
            record.msg, record.args = SECRET.sub(r'\1***', message), ()
        return True


logging.getLogger('werkzeug').addFilter(HideSecrets())


class KktCallback(Controller):
    @route('/kkt/callback/<string:secret>', type='http', auth='none', **PLAIN)
    def callback(self, secret, **_said):
        """A service has done with a document. Its words are not read: they only make us ask; see `kkt.ofd`."""
        if not request.env['kkt.ofd'].sudo()._hear_callback(secret):
            raise NotFound
        return request.make_response('', status=204)
