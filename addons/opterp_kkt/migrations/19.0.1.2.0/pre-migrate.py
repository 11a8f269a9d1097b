def migrate(cr, version):
    """Envelopes name their protocol: there was one. A default at creation is what millions of rows get without being written.

    An OFD's token is one of its credentials.
    """
    cr.execute("ALTER TABLE kkt_receipt ADD COLUMN IF NOT EXISTS protocol varchar DEFAULT 'http'")
    cr.execute("ALTER TABLE kkt_receipt ALTER COLUMN protocol DROP DEFAULT")
    cr.execute("ALTER TABLE kkt_ofd ADD COLUMN IF NOT EXISTS credentials jsonb")
    cr.execute("UPDATE kkt_ofd SET credentials = jsonb_build_object('token', secret) WHERE secret <> ''")
    cr.execute("ALTER TABLE kkt_ofd DROP COLUMN secret")
