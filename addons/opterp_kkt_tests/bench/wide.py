"""How many documents one deliverer brings to the OFD when many registers wait, in ratio to one bare loop of `requests`, and what
that costs: processor time of each document, memory and connections of the deliverer.
"""

from bench.backlog import TOOK, copy_receipts
from bench.bare import be_slow, compare, post_last
from bench.cost import get_memory, get_seconds_by_process
from bench.figures import tell
from harness.contest import set_number, switch_crons
from harness.processes import wait_until
from harness.shop import Shop
from harness.till import Client

ROUNDS = 3
LANES = 40
# latency (s), documents of each register, of the bare loop, least ratio by number of registers
PLAN = ((0.020, 100, 100, {8: 6.5, LANES: 12}), (0.300, 30, 10, {LANES: 36}), (0.0, 40, 400, {8: None, LANES: None}))
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'opterp_kkt' AND datname = current_database()"


def main():
    with Shop() as shop:
        chain = Chain(shop)
        for latency, documents, bare, bounds in PLAN:
            for registers, least in bounds.items():
                compare(
                    f"drain of {registers} registers, OFD answers in {1000 * latency:.0f} ms",
                    [(chain.drain(registers, latency, documents), post_last(shop, latency, bare)) for _number in range(ROUNDS)],
                    f"one deliverer {{:.0f}}/s, one bare loop {{:.0f}}/s; processor time of a document: {chain.take_costs()}",
                    least=least,
                )
        chain.tell_size()


class Chain:
    """Many registers and one deliverer."""

    def __init__(self, shop: Shop):
        self.shop = shop
        self.host = shop.host(crons=1)
        self.receipts = [shop.till(self.host, number).sell()["kkt_receipt_ids"][0] for number in range(LANES)]
        set_number(Client(self.host, timeout=600), "lanes", LANES)
        shop.settle()
        self.memory = get_memory(self.host.pid)
        self.most_connections = 0
        self._forget_costs()

    def drain(self, registers: int, latency: float, documents: int) -> float:
        """Deliver so many documents of each. Documents per second from the first claim to the last delivery."""
        count = documents * registers
        switch_crons(self.shop.database, False)
        copy_receipts(self.shop, self.receipts[:registers], documents)
        be_slow(self.shop.ofd, latency)
        before = self._get_seconds()
        switch_crons(self.shop.database, True)
        self.shop.database.execute("UPDATE ir_cron SET nextcall = now() AT TIME ZONE 'UTC' WHERE active")
        self.shop.database.wake_crons()
        wait_until(self._is_empty, 600, "the end of the queues", 0.1)
        self._delivered += count
        self._spent = {name: self._spent.get(name, 0.0) + end - before[name] for name, end in self._get_seconds().items()}
        return count / self.shop.database.value(TOOK, count)

    def _is_empty(self) -> bool:
        self.most_connections = max(self.most_connections, self.shop.database.value(CONNECTIONS))
        return not self.shop.unfinished()

    def _get_seconds(self) -> dict[str, float]:
        return get_seconds_by_process(self.shop.database, deliverer=self.host.pid, OFD=self.shop.ofd.pid)

    def take_costs(self) -> str:
        """What each process spent on a document since they were last taken, in words."""
        costs = ", ".join(f"{name} {1000 * seconds / self._delivered:.2f} ms" for name, seconds in self._spent.items())
        self._forget_costs()
        return costs

    def _forget_costs(self):
        self._delivered, self._spent = 0, {}

    def tell_size(self):
        memory = get_memory(self.host.pid)
        detail = f"{self.memory:.0f} MiB before; connections to PostgreSQL at once: {self.most_connections}"
        tell(f"memory of a deliverer that had {LANES} lanes", memory, unit=" MiB", detail=detail)
