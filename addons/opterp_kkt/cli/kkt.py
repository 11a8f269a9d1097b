import argparse
import json
import sys
import textwrap

from odoo import SUPERUSER_ID, api
from odoo.cli import Command
from odoo.modules.registry import Registry
from odoo.tools import config

NOTHING_LEFT, SOMETHING_WAITS, BUSY = 0, 1, 3  # exit statuses of deliver
HEALTHY, UNHEALTHY = 0, 1  # of status
WIDTH = 60  # of a column, for people


class Kkt(Command):
    """Show and deliver fiscal receipts"""

    name = 'kkt'
    description = """
        Show what waits for the OFDs, or deliver it.

        Odoo finds this command where it knows the addons path: ODOO_RC=odoo.conf odoo kkt status -d DB
    """

    def run(self, cmdargs):
        args, rest = self._get_parser().parse_known_args(cmdargs)
        config.parse_config(['-d', args.database, *(['-c', args.config] if args.config else []), *rest], setup_logging=True)
        with Registry(args.database).cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            if 'kkt.register' not in env:
                sys.exit(f"opterp_kkt is not installed in database {args.database}.")
            sys.exit(args.verb(env, args))

    def _get_parser(self):
        self.parser.formatter_class = argparse.RawDescriptionHelpFormatter
        self.parser.description = textwrap.dedent(self.description)
        verbs = self.parser.add_subparsers(required=True, metavar='{status,deliver,show}')
        status = verbs.add_parser('status', help="what waits, and what stands in its way; exit status 1: unhealthy")
        status.add_argument('--json', action='store_true', help="for programs")
        status.add_argument('--devices', action='store_true', help="ask registers elsewhere what they are, too")
        status.set_defaults(verb=self._status)
        deliver = verbs.add_parser(
            'deliver', help="one pass; exit status 0: nothing left, 1: something waits or was rejected, 3: busy"
        )
        deliver.add_argument('--register', metavar='NAME', help="only this register (name or serial number)")
        deliver.set_defaults(verb=self._deliver)
        show = verbs.add_parser('show', help="a document: as JSON, in the binary of the format (TLV), that in hex, or as paper")
        show.add_argument('document', metavar='DRIVE/FD', help="number of the fiscal drive / FD number")
        show.add_argument('--as', dest='form', choices=('json', 'tlv', 'paper'), default='json')
        show.add_argument('--hex', action='store_true', help="with --as tlv: readable")
        show.set_defaults(verb=self._show)
        for parser in (status, deliver, show):
            parser.add_argument('-c', '--config', help="Odoo's configuration file")
            parser.add_argument('-d', '--database', required=True)
        return self.parser

    def _status(self, env, args):
        report = env['kkt.health']._get_report()
        registers = self._find(env)
        rows = [self._get_status(register) for register in registers]
        devices = [self._describe_device(register) for register in registers] if args.devices else []
        if args.json:
            told = [{**row, 'device': device} for row, device in zip(rows, devices, strict=True)] if args.devices else rows
            print(json.dumps({**report, 'registers': told}, ensure_ascii=False, default=str))
        else:
            lines = [f"{row['register']}: {device}" for row, device in zip(rows, devices, strict=False) if device]
            print("\n".join([_table(rows), *lines, "", *_lines(report)]))
        return HEALTHY if report['status'] == 'pass' else UNHEALTHY

    def _find(self, env, domain=()):
        """Registers in use, and those that were archived while something of theirs waits."""
        registers = env['kkt.register'].with_context(active_test=False).search(domain, order='name')
        return registers.filtered(lambda register: register.active or register.pending_count)

    def _get_status(self, register):
        head = register.head_id
        return {
            'register': register.name,
            'drive': register.fiscal_drive_number,
            'receiver': f"{register.ofd_id.name} ({register.ofd_id.protocol})",
            'waiting': register.pending_count,
            'oldest': register.oldest_pending_at or None,
            'rejected': register.rejected_count,
            'breaker': register.ofd_id.breaker_id.state,
            'paused_until': register.ofd_paused_until or None,
            'held': register.hold_reason or None,
            'redis': 'missing' if register.lease_missing else 'ok',
            'delivered_by': register.delivery_holder or None,
            'epoch': register.delivery_epoch,
            'archived': not register.active,
            'shift': register.shift_id and register.shift_id._get_number() or None,
            'hours_left': register._get_hours_left(),
            'waits_for': register.queue_condition or None,
            'tries': head.attempts,
            'next_try': head.next_attempt_at or None,
            'last_error': head.last_error or None,
        }

    def _describe_device(self, register):
        """What a register elsewhere says of itself, or why it does not; None for an emulated one."""
        if not register._is_receiver('is_register'):
            return None
        answer = register.ofd_id._check_connection()
        return register.ofd_id._describe_device(answer.device) if answer.device else register.ofd_id._describe(answer)

    def _deliver(self, env, args):
        domain = ['|', ('name', '=', args.register), ('serial_number', '=', args.register)] if args.register else []
        registers = self._find(env, domain)
        if args.register and not registers:
            sys.exit(f"There is no register {args.register}. See: odoo kkt status")
        result = registers.action_deliver()
        print(json.dumps(result))
        if result['busy']:
            return BUSY
        return SOMETHING_WAITS if result['waiting'] or result['rejected'] else NOTHING_LEFT

    def _show(self, env, args):
        drive, _slash, number = args.document.partition('/')
        receipt = env['kkt.receipt'].search(
            [('fiscal_drive_number', '=', drive), ('fd_number', '=', int(number) if number.isdecimal() else -1)]
        )
        if not receipt:
            sys.exit(f"There is no document {args.document}. Name it as DRIVE/FD, for example 9999078900001341/17.")
        if args.form == 'tlv' and not args.hex:
            sys.stdout.buffer.write(receipt._get_tlv())
        else:
            print({'json': receipt._get_json, 'tlv': receipt._get_hex, 'paper': receipt._get_paper_text}[args.form]())
        return NOTHING_LEFT


def _lines(report):
    """The health of delivery, one line for each thing that is not as it should be."""
    yield "healthy" if report['status'] == 'pass' else "UNHEALTHY"
    yield from (f"  {reason['text']}" for reason in report['reasons'])
    yield from (f"  warning: {warning['text']}" for warning in report['warnings'])


def _table(rows):
    """Rows as text in columns."""
    if not rows:
        return "There are no registers."
    cells = [list(rows[0])] + [["" if value is None else str(value)[:WIDTH] for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
