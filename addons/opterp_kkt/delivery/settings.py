"""What a worker is given, read by `models/kkt_delivery.py` alone."""

from dataclasses import dataclass

from ..transports import LONGEST_PAUSE


@dataclass(frozen=True)
class Settings:
    """What a worker is given; the numbers are parameters of the system, `opterp_kkt.<name>`, in seconds where they are times."""

    dsn: dict  # psycopg2's, of the database
    redis_url: str
    lease_prefix: str  # unlike any other database's
    request_timeout: float = 10.0
    lease_ttl: float = 30.0
    run_seconds: float = 50.0
    backoff_max: float = 60.0
    misconfigured_pause: float = 300.0
    poison_tries: float = 10.0
    refusal_streak: float = 5.0
    lanes: float = 8.0  # registers that one deliverer serves at once

    @property
    def request_seconds(self) -> float:
        """What one request can take."""
        return self.request_timeout + 1

    @property
    def attempt_seconds(self) -> float:
        """What an attempt can take, its lookup included: the lease has to last so long."""
        return 2 * self.request_seconds

    @property
    def permit_seconds(self) -> float:
        """How long a probe's permit lasts: longer than an attempt can take."""
        return self.attempt_seconds + 3

    @property
    def longest_waits(self) -> dict:
        return longest_waits(self.backoff_max, self.misconfigured_pause)


def longest_waits(backoff_max: float, misconfigured_pause: float) -> dict:
    """What no stored wait can be longer than, in s: parameters of the statements that judge one."""
    return {"backoff_max": backoff_max, "longest_pause": max(misconfigured_pause, LONGEST_PAUSE)}
