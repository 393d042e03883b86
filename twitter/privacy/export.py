"""All that is stored of a person as one JSON document, made while it is being sent.

No transaction spans it. One would show everything as of one moment; but it would last as long as
the client takes to read, and as long keep PostgreSQL from vacuuming and the settled id of tweets
from advancing (docs/adr/0020-an-export-is-a-stream.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils import timezone

from accounts import facade as accounts
from tweets import facade as tweets
from twitter.base.declared import Export
from twitter.base.http.errors import NotFound
from twitter.base.http.renderers import to_json

# Each is walked in pages, and describes what stands in a row.
EXPORTS: Sequence[Export] = [
    export
    for subjects in (accounts.SUBJECTS, tweets.SUBJECTS)
    for subject in subjects
    for export in subject.exports
]
# Bytes that are sent together, or some more.
BLOCK = 64 * 1024


class AccountGone(Exception):
    """The account was deleted while it was being exported: what was read is not all there was."""


def document(account_id: int) -> Iterator[bytes]:
    """Return the document in blocks, a row a line. Raises NotFound at once.

    The iterator raises whatever keeps it from the end, such as AccountGone or a DatabaseError: only
    a document that is complete is valid JSON. What is added or changed meanwhile may be missing or
    old; what was there all the time is in it, once.
    """
    profile = accounts.exported_profile(account_id)
    if profile is None:
        raise NotFound("There is no such account.")
    return _in_blocks(_pieces(account_id, profile))


def _pieces(account_id: int, profile: Mapping[str, Any]) -> Iterator[bytes]:
    yield b'{"data":{\n"exported_at":%b,\n"account":%b' % (
        to_json(timezone.now()),
        to_json(profile),
    )
    for export in EXPORTS:
        yield b',\n"%b":[' % export.name.encode()
        for number, row in enumerate(export.rows(account_id)):
            yield (b",\n" if number else b"\n") + to_json(row)
        yield b"]"
    if accounts.exported_profile(account_id) is None:
        raise AccountGone
    yield b"\n}}\n"


def _in_blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)
