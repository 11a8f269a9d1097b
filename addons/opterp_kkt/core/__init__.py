"""The algorithms of fiscal delivery in plain Python: nothing here knows Odoo."""
