"""What other apps may ask of tweets. Takes and returns ids, dataclasses and bytes."""

from tweets.entries import ID_SIZE, TWEET_SIZE, Entry, Ref, id_bytes, id_of, ref_of
from tweets.exporting import LISTS as EXPORTED_LISTS
from tweets.pipeline import MOST_LOOKED_AT, Drawn, Page, present, read
from tweets.purging import KEEP_TOMBSTONES
from tweets.reader import Reader, reader, reader_part
from tweets.selectors import (
    Settled,
    authors_of,
    clock,
    hidden_since,
    is_visible,
    newest,
    removed_between,
    settled,
)
from tweets.visibility import Kind, shows

__all__ = [
    "EXPORTED_LISTS",
    "ID_SIZE",
    "KEEP_TOMBSTONES",
    "MOST_LOOKED_AT",
    "TWEET_SIZE",
    "Drawn",
    "Entry",
    "Kind",
    "Page",
    "Reader",
    "Ref",
    "Settled",
    "authors_of",
    "clock",
    "hidden_since",
    "id_bytes",
    "id_of",
    "is_visible",
    "newest",
    "present",
    "read",
    "reader",
    "reader_part",
    "ref_of",
    "removed_between",
    "settled",
    "shows",
]
