"""The Redis lease of a cash register: tells everybody who delivers its documents.

The lease spares other workers the try and shows an administrator the holder's name. It is not what keeps two
deliverers apart: Redis may be flushed, fail over or let a paused holder's lease expire, and the guard
(`guard.py`) holds all the same. So every failure here is either "another holds it" or "Redis can't tell".
"""

import logging
import time
from contextlib import contextmanager

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

_logger = logging.getLogger(__name__)

SOCKET_TIMEOUT = 0.2  # s, for connecting and for each answer
PAUSE = 5.0  # s, before a missing Redis is asked again

# KEYS: the lease. ARGV: holder, time to live in ms. A vanished lease (flushed, restarted, expired) is set
# again, in the same step as the comparison, so that nobody can take it in between.
RENEW = """
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] then
    return 0
end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 1
"""

# KEYS: the lease. ARGV: holder.
RELEASE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then
    return 0
end
return redis.call('del', KEYS[1])
"""


class LeaseLost(Exception):
    """Another holder's name stands in the lease."""


class LeaseUnavailable(Exception):
    """Redis can't tell: down, hung, loading, read-only replica, wrong password or URL, out of memory."""


def connect(url: str) -> Redis:
    """Open a client for `redis://`, `rediss://` or `unix://`; it connects at its first command.

    An answer takes at most SOCKET_TIMEOUT (looking up the host's name is not bounded: give an address where
    DNS is slow). There is no retry, since the caller has a better plan for a dead Redis than to wait. RESP 2,
    because with RESP 3 redis-py 7 and later subscribe to maintenance pushes, which stretch the timeouts. The
    client may be shared between threads and survives a fork. Raise LeaseUnavailable for a malformed URL.
    """
    try:
        return Redis.from_url(
            url,
            decode_responses=True,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=SOCKET_TIMEOUT,
            socket_timeout=SOCKET_TIMEOUT,
        )
    except ValueError as error:
        raise LeaseUnavailable("The Redis URL is malformed") from error  # not its text: it may have a password


class Lease:
    """A key in Redis that holds its holder's name and expires by itself.

    `acquire` sets it when it is free; `renew` it before `remaining` runs out; `release` it when done. Found
    held although the caller has the guard, its holder is dead and `take_over` replaces it. (That also heals
    an `acquire` whose answer got lost: the lease then seems to be held, by ourselves.)

    :param key: one per register; must contain the database's uuid, as databases may share a Redis
    :param holder: unique value of this holder, written into the key
    :param ttl: seconds from a successful call until the lease expires

    Every method raises LeaseUnavailable when Redis can't answer, within one or two SOCKET_TIMEOUT; whether
    the call took effect is unknown then.
    """

    def __init__(self, redis: Redis, key: str, holder: str, ttl: float = 30.0):
        self.key = key
        self.holder = holder
        self.ttl = ttl
        self._redis = redis
        self._expires_at = 0.0

    @property
    def remaining(self) -> float:
        """Seconds for which the lease is surely ours unless taken over, 0.0 when it is not.

        On the monotonic clock, counted from before the call that set it: the server started counting later.
        """
        return max(0.0, self._expires_at - time.monotonic())

    def acquire(self) -> bool:
        """Take the lease if nobody holds it."""
        return self._counted(self._redis.set, self.key, self.holder, px=self._milliseconds, nx=True)

    def take_over(self) -> None:
        """Take the lease whoever holds it; only for a caller that holds the register's guard."""
        self._counted(self._redis.set, self.key, self.holder, px=self._milliseconds)

    def renew(self) -> None:
        """Start the time to live again, setting a lease that vanished; raise LeaseLost if it is another's."""
        if not self._counted(self._redis.eval, RENEW, 1, self.key, self.holder, self._milliseconds):
            raise LeaseLost(self.key)

    def release(self) -> bool:
        """Free the lease if it is ours; True if it was."""
        self._expires_at = 0.0
        with _unavailable():
            return bool(self._redis.eval(RELEASE, 1, self.key, self.holder))

    def current_holder(self) -> str | None:
        """Return whose lease it is now, None when it is free."""
        with _unavailable():
            return self._redis.get(self.key)

    def _counted(self, command, *arguments, **options) -> bool:
        """Run a command that makes the lease ours or tells that it is another's."""
        started = time.monotonic()
        with _unavailable():
            ours = bool(command(*arguments, **options))
        self._expires_at = started + self.ttl if ours else 0.0
        return ours

    @property
    def _milliseconds(self) -> int:
        return int(self.ttl * 1000)


@contextmanager
def _unavailable():
    try:
        yield
    except (RedisError, ValueError) as error:  # ValueError: the answer is not Redis's protocol, or no text
        raise LeaseUnavailable(f"{type(error).__name__}: {error}") from error


class Leases:
    """The leases of one holder; there are none while Redis is missing."""

    def __init__(self, url: str, prefix: str, holder: str, ttl: float):
        self._prefix = prefix
        self._holder = holder
        self._ttl = ttl
        self._not_before = 0.0
        try:
            self._redis = connect(url)
        except LeaseUnavailable as error:
            _logger.warning("%s", error)
            self._redis = None

    def get(self, register_id: int) -> Lease | None:
        """The lease to ask for; None while Redis is missing."""
        if self._redis is None or time.monotonic() < self._not_before:
            return None
        return Lease(self._redis, f"{self._prefix}:{register_id}", self._holder, self._ttl)

    def pause(self) -> None:
        """Redis could not tell: it is left alone for a while."""
        self._not_before = time.monotonic() + PAUSE
