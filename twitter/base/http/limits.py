"""Rate limits: how often somebody may do something within a window of time.

Windows follow one another on the clock: one of 60 seconds begins with each minute. The key of a
count names its window, so each window begins at 0. The counts are in Redis. Without Redis, each
process counts for itself: a limit is then looser by the number of processes, but it is still a
limit.

What clients are told follows draft-ietf-httpapi-ratelimit-headers-10.
"""

import ipaddress
import logging
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

from django.conf import settings
from redis.exceptions import RedisError

from twitter.base.data import parts, resp
from twitter.base.data.parts import Part
from twitter.base.observe import metrics

# Of an IPv6 address, the network that one customer gets (RFC 6177).
IPV6_PREFIX = 64
# INET6_ADDRSTRLEN of POSIX is 46; an address with a zone takes some more.
ADDRESS_LENGTH = 64
# Counts of a name that a process keeps while Redis is away, some 300 bytes each.
_MOST = 10_000

# Some proxies write the port as well.
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+")

logger = logging.getLogger(__name__)


class Bucket(NamedTuple):
    """Who may do what, and how often: `quota` times in a window of `seconds`."""

    name: str
    quota: int
    seconds: int
    who: str

    def key(self, now: float) -> str:
        """Return the key of the count in the window of a moment, in seconds since 1970."""
        return f"limit:{self.name}:{self.who}:{int(now // self.seconds)}"

    def reset(self, now: float) -> int:
        """Return in how many seconds the window of a moment ends, rounded up."""
        return self.seconds - int(now % self.seconds)

    @property
    def policy(self) -> str:
        """The same in a header."""
        return f'"{self.name}";q={self.quota};w={self.seconds}'


class Standing(NamedTuple):
    """How full a bucket is, the present request included; `reset`: seconds until it is empty."""

    bucket: Bucket
    used: int
    reset: int

    @property
    def remaining(self) -> int:
        """How many more are allowed."""
        return max(self.bucket.quota - self.used, 0)

    @property
    def is_exceeded(self) -> bool:
        """Whether the present request is one too many."""
        return self.used > self.bucket.quota


def bucket(
    *, kind: str, subject: str, who: str | int, limit: tuple[int, int] | None
) -> Bucket | None:
    """Return the bucket of a limit, as RATE_LIMITS has it, for somebody; None without a limit.

    `who` is kept as a digest only, for it may be an address or a name.
    """
    if limit is None:
        return None
    quota, seconds = limit
    return Bucket(f"{kind}-per-{subject}", quota, seconds, digest(who))


def digest(who: str | int) -> str:
    """Return what stands for somebody in Redis: BLAKE2b (RFC 7693), keyed with SECRET_KEY."""
    keyed = _keyed(settings.SECRET_KEY).copy()
    keyed.update(str(who).encode())
    return str(keyed.hexdigest())


@lru_cache(maxsize=1)
def _keyed(secret: str) -> Any:
    return blake2b(key=secret.encode()[:64], digest_size=12)


def part(buckets: Sequence[Bucket]) -> Part[list[Standing]]:
    """Return the part that counts a request, and tells how full its buckets are."""
    now = time.time()
    commands: list[bytes] = []
    for each in buckets:
        key = each.key(now)
        # EXPIRE each time: so no count stays for ever because a process died after its first.
        commands += resp.pack("INCR", key), resp.pack("EXPIRE", key, each.reset(now))

    def parse(replies: Sequence[int]) -> list[Standing]:
        counts = zip(buckets, replies[::2], strict=True)
        return [Standing(each, used, each.reset(now)) for each, used in counts]

    return Part(commands, parse)


def count(buckets: Sequence[Bucket]) -> list[Standing]:
    """Count a request; return how full its buckets are. Without buckets Redis is not asked."""
    if not buckets:
        return []
    try:
        counted = parts.fetch(part(buckets))
    except RedisError as error:
        logger.warning("Requests are counted without Redis: %s", error)
        metrics.went_on_without_redis()
        return [_count_here(each) for each in buckets]
    return list(counted)


def reset_count(bucket: Bucket) -> None:
    """Reset the present count of a bucket; without Redis that of this process only."""
    key = bucket.key(time.time())
    with _here_lock:
        _here.get(bucket.name, {}).pop(key, None)
    try:
        resp.exchange(resp.pack("DEL", key))
    except RedisError:
        return  # Its count ends by itself.


# By the bucket's name, so that the counts of many readers do not push out those of guesses.
_here: dict[str, dict[str, int]] = {}
_here_lock = threading.Lock()


def _count_here(each: Bucket) -> Standing:
    now = time.time()
    key = each.key(now)
    with _here_lock:
        counts = _here.setdefault(each.name, {})
        used = counts.pop(key, 0) + 1
        if len(counts) >= _MOST:
            del counts[next(iter(counts))]  # of the client that has not asked for the longest
        counts[key] = used
    return Standing(each, used, each.reset(now))


def exceeded(counted: Iterable[Standing]) -> Standing | None:
    """Return the bucket that refuses the request; of several, the one that stays full longest."""
    too_full = [one for one in counted if one.is_exceeded]
    return max(too_full, key=lambda one: one.reset) if too_full else None


def headers(counted: Sequence[Standing]) -> list[tuple[str, str]]:
    """Return the headers that tell a client how it stands, in the fullest of its buckets."""
    if not counted:
        return []
    fullest = max(counted, key=lambda one: one.used / one.bucket.quota)
    its = fullest.bucket
    return [
        ("RateLimit", f'"{its.name}";r={fullest.remaining};t={fullest.reset}'),
        ("RateLimit-Policy", its.policy),
    ]


def client_address(environ: Mapping[str, Any]) -> str:
    """Return the address that a WSGI request came from; of an IPv6 address, its network.

    Each proxy adds the address that it sees to the end of X-Forwarded-For. So the last
    TRUSTED_HOPS entries are true, and what stands before them is what the client claims.
    """
    peer, hops = environ.get("REMOTE_ADDR", ""), settings.TRUSTED_HOPS
    chain = environ.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", hops) if hops else []
    # A shorter one did not come through all proxies.
    claimed = chain[-hops].strip() if hops and len(chain) >= hops else peer
    return _network(claimed[:ADDRESS_LENGTH]) or peer


@lru_cache(maxsize=10_000)
def _network(address: str) -> str | None:
    """Return the network of one customer that has the address; None if it is not an address."""
    if with_port := _WITH_PORT.fullmatch(address):
        address = with_port[1] or with_port[2]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
