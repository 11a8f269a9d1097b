# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Registers that are no emulated ones of ours: what each protocol needs for one that an emulator stands in for."""

from typing import NamedTuple

from harness.contest import set_number
from harness.shop import Shop
from harness.stack import Emulator
from harness.till import Client, Till
from ofd_emulator import cloud, register

PASSWORD = "s3cr3t-Pa55word"


class Receiver(NamedTuple):
    """A register on the counter, or in the cloud."""

    drive: str
    path: str
    credentials: dict[str, str]


def get_receiver(protocol: str, number: int) -> Receiver:
    """The one of that number, from 1; KeyError for a protocol that no register of ours speaks."""
    drive, group = f"871000010000000{number}", f"shop-{number}"
    account = {"password": PASSWORD}
    return {
        "atol_web": Receiver(drive, "", {"login": register.LOGIN, **account}),
        "atol_online": Receiver(cloud.get_drive(group), "/possystem/v5", {"login": cloud.LOGIN, **account, "group_code": group}),
    }[protocol]


def connect(admin: Client, register_id: int, emulator: Emulator, protocol: str, number: int = 1) -> int:
    """Have a register number and sign at an emulator, which has its drive, over that protocol. Return its breaker."""
    receiver = get_receiver(protocol, number)
    known = admin.call("kkt.register", "read", [register_id], ["company_id"])[0]
    admin.call("res.company", "write", [known["company_id"][0]], {"email": "shop@example.com"})
    values = {"name": f"Register {number}", "protocol": protocol, "url": emulator.url + receiver.path, **receiver.credentials}
    ofd = admin.call("kkt.ofd", "create", values)
    breaker = admin.call("kkt.ofd", "read", [ofd], ["breaker_id"])[0]["breaker_id"][0]
    admin.call("kkt.circuit.breaker", "write", [breaker], {"recovery_timeout": 2})
    moved = {"driver": "remote", "fiscal_drive_number": receiver.drive, "ofd_id": ofd}
    admin.call("kkt.register", "write", [register_id], moved)
    return breaker


def open_elsewhere(shop: Shop, protocol: str) -> tuple[Shop, Till]:
    """The shop, a host of which delivers with short waits, and its first till, whose register is now one at its emulator."""
    host = shop.host(crons=4)
    admin = Client(host)
    for name in ("backoff_max", "misconfigured_pause"):
        set_number(admin, name, 1)
    [register] = admin.call("kkt.register", "search", [("pos_config_id", "=", shop.configs()[0])])
    if admin.call("kkt.register", "read", [register], ["shift_id"])[0]["shift_id"]:
        admin.call("kkt.register", "action_close_shift", [register])
    shop.settle()
    connect(admin, register, shop.ofd, protocol)
    shop.ofd.reset()
    return shop, shop.till(host)
