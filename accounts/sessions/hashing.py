"""Hashing passwords, within a bound on the memory that it takes.

Argon2id with m=19456 KiB, t=2, p=1: the least that OWASP's Password Storage Cheat Sheet recommends
(https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html). Hashes of other
parameters still verify, and Django replaces them when their owner logs in.

A stranger can have a hash made: each log-in costs one, also with an unknown name. So a process
makes at most PLACES hashes at once, 2 x 19 MiB, whatever they are for: log-in, sign-up, a changed
password, a deletion, the admin. A request that finds no place is refused instead of waiting, so
that hashing never takes the threads that reads need.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, local

from django.contrib.auth.hashers import Argon2PasswordHasher

from twitter.base.http.errors import TooBusy

PLACES = 2
RETRY_AFTER_SECONDS = 1


_free = BoundedSemaphore(PLACES)


_held = local()


@contextmanager
def place() -> Iterator[None]:
    """Hold one of the PLACES; hashes that this thread makes meanwhile use it.

    For work that belongs just before a hash, and must not be done when there is no place for that
    hash: counting an attempt, say. Raises TooBusy.
    """
    if getattr(_held, "is_held", False):
        yield
        return
    if not _free.acquire(blocking=False):
        raise TooBusy(
            "Too many passwords are being checked right now; try again in a second.",
            seconds=RETRY_AFTER_SECONDS,
        )
    _held.is_held = True
    try:
        yield
    finally:
        _held.is_held = False
        _free.release()


class BoundedArgon2Hasher(Argon2PasswordHasher):
    """Django's Argon2, with OWASP's parameters. Hashing and verifying raise TooBusy."""

    time_cost = 2
    memory_cost = 19_456  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Return the hash of a password."""
        with place():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Tell whether a hash, of whatever parameters, is that of the password."""
        with place():
            return super().verify(password, encoded)
