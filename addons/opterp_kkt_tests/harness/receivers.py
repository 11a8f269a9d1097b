# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What tills deliver to, protocol by protocol: OFDs, and registers that are no emulated ones of ours, which an emulator stands in
for.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import NamedTuple

import harness.product  # noqa: F401  (the product's package without Odoo)
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from harness import judge
from harness.contest import set_number
from harness.shop import Shop, add_tills
from harness.stack import Emulator, Odoo
from harness.till import Client, Till
from ofd_emulator import cloud, register
from opterp_kkt.transports import PROTOCOLS

PASSWORD = "s3cr3t-Pa55word"


@cache
def sign_with() -> str:
    """A key in PEM."""
    return generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Receiver(NamedTuple):
    """An OFD, or a register on the counter or in the cloud."""

    drive: str
    path: str
    credentials: dict[str, str]


def get_receiver(protocol: str, number: int) -> Receiver:
    """The one of that number, from 1; KeyError for a protocol that nobody speaks here."""
    drive, group = f"871000010000000{number}", f"shop-{number}"
    account = {"password": PASSWORD}
    return {
        "http": Receiver("", "", {"token": PASSWORD}),
        "ofd_tcp": Receiver("", "", {}),
        "atol_web": Receiver(drive, "", {"login": register.LOGIN, **account}),
        "orangedata": Receiver(
            cloud.get_drive(group), "/api/v2", {"organisation": "7700123459", "group_code": group, "signing_key": sign_with()}
        ),
        "atol_online": Receiver(cloud.get_drive(group), "/possystem/v5", {"login": cloud.LOGIN, **account, "group_code": group}),
    }[protocol]


def get_address(protocol: str, number: int, url: str) -> str:
    """Where the receiver of that number answers, behind an emulator's address or a way to it."""
    return url.replace("http://", PROTOCOLS[protocol].schemes[0]) + get_receiver(protocol, number).path


def connect(admin: Client, register_id: int, url: str, protocol: str, number: int = 1) -> int:
    """Have a register number and sign at an emulator, which has its drive, over that protocol. Return its OFD."""
    receiver = get_receiver(protocol, number)
    known = admin.call("kkt.register", "read", [register_id], ["company_id"])[0]
    admin.call("res.company", "write", [known["company_id"][0]], {"email": "shop@example.com"})
    address = get_address(protocol, number, url)
    values = {"name": f"Register {number}", "protocol": protocol, "url": address, **receiver.credentials}
    ofd = admin.call("kkt.ofd", "create", values)
    admin.call("kkt.circuit.breaker", "write", [get_breaker(admin, ofd)], {"recovery_timeout": 2})
    moved = {"driver": "remote", "fiscal_drive_number": receiver.drive, "ofd_id": ofd}
    admin.call("kkt.register", "write", [register_id], moved)
    return ofd


def get_breaker(admin: Client, ofd: int) -> int:
    return admin.call("kkt.ofd", "read", [ofd], ["breaker_id"])[0]["breaker_id"][0]


class Receivers:
    """All that the tills of a shop deliver to over one protocol, with the orders and the history of one emulator: that of the
    shop, and another for each further till where one of them is one device.
    """

    def __init__(self, shop: Shop, protocol: str, tills: int):
        self.protocol = protocol
        devices = range(2, tills + 1) if protocol == "atol_web" else ()
        more = [Emulator(token=shop.ofd.token, drive=get_receiver(protocol, number).drive) for number in devices]
        self.emulators = [shop.ofd, *more]

    def of_till(self, number: int) -> Emulator:
        """That of a till, from 0."""
        return self.emulators[min(number, len(self.emulators) - 1)]

    def __enter__(self):
        with ExitStack() as stack:
            for emulator in self.emulators[1:]:
                stack.enter_context(emulator)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc):
        self._stack.close()

    def _order(self, verb: str):
        return lambda *arguments, **options: [getattr(emulator, verb)(*arguments, **options) for emulator in self.emulators]

    def __getattr__(self, verb: str):
        if verb in ("mode", "device", "cloud", "refuse", "fail_matching", "reset"):
            return self._order(verb)
        raise AttributeError(verb)

    def history(self, since: int = 0) -> judge.History:
        """What all of them got, in order of arrival, numbered anew."""
        merged = judge.merged({emulator.url: emulator.history() for emulator in self.emulators})
        return [request for request in merged if request["seq"] > since]

    def under_way(self) -> list[str]:
        return [key for emulator in self.emulators for key in emulator.under_way()]


def connect_tills(
    shop: Shop, host: Odoo, receivers: Receivers, tills: int, find_url: Callable[[Emulator], str] = lambda emulator: emulator.url
) -> dict[int, int]:
    """Have the first tills deliver to these receivers, whom the shop's OFD is from now on. Return the OFD of each by its number.

    Their shifts are closed: a drive is changed between two of them.
    """
    admin = Client(host)
    if (missing := tills - len(shop.configs())) > 0:
        add_tills(admin, missing)
    domain = [("pos_config_id", "in", shop.configs()[:tills])]
    registers = admin.call("kkt.register", "search", domain, order="pos_config_id")
    if opened := admin.call("kkt.register", "search", [("id", "in", registers), ("shift_id", "!=", False)]):
        admin.call("kkt.register", "action_close_shift", opened)
        shop.settle()
    shop.ofd = receivers
    urls = [find_url(receivers.of_till(number)) for number in range(tills)]
    if PROTOCOLS[receivers.protocol].is_register:
        connected = zip(registers, urls, strict=True)
        return {
            number: connect(admin, register_id, url, receivers.protocol, number)
            for number, (register_id, url) in enumerate(connected, 1)
        }
    ofd = admin.call("kkt.register", "read", registers[:1], ["ofd_id"])[0]["ofd_id"][0]
    address, credentials = get_address(receivers.protocol, 1, urls[0]), get_receiver(receivers.protocol, 1).credentials
    admin.call("kkt.ofd", "write", [ofd], {"protocol": receivers.protocol, "url": address, **credentials})
    return {1: ofd}


def open_elsewhere(shop: Shop, protocol: str) -> tuple[Shop, Till]:
    """The shop, a host of which delivers with short waits, and its first till, whose register is now one at its emulator."""
    host = shop.host(crons=4)
    admin = Client(host)
    for name in ("backoff_max", "misconfigured_pause"):
        set_number(admin, name, 1)
    emulator = shop.ofd
    connect_tills(shop, host, Receivers(shop, protocol, 1), 1)
    shop.ofd = emulator
    shop.ofd.reset()
    return shop, shop.till(host)
