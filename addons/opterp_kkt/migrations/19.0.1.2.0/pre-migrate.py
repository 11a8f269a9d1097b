def migrate(cr, version):
    """Envelopes name their protocol: there was one. A default at creation is what millions of rows get without being written."""
    cr.execute("ALTER TABLE kkt_receipt ADD COLUMN IF NOT EXISTS protocol varchar DEFAULT 'http'")
    cr.execute("ALTER TABLE kkt_receipt ALTER COLUMN protocol DROP DEFAULT")
