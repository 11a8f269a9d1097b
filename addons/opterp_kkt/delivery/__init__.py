"""What brings one document after another to its OFD, without Odoo: `worker.py` is the loop, and where to begin reading."""
