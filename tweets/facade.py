"""What other apps may ask of tweets: functions on ids, and frozen dataclasses."""

from tweets.declares import SUBJECTS
from tweets.entries import ID_SIZE, TWEET_SIZE, Entry, Ref, id_bytes, id_of, ref_of
from tweets.pipeline import Page, present, read
from tweets.posts.reads import (
    Settled,
    authors_of,
    clock,
    hidden_since,
    is_visible,
    newest,
    removed_between,
    settled,
    visible,
)
from tweets.purging import KEEP_TOMBSTONES
from tweets.reader import Reader, reader, reader_part
from tweets.sources import MOST_LOOKED_AT, Drawn, Source, StoredSource
from tweets.visibility import Kind, shows

__all__ = [
    "ID_SIZE",
    "KEEP_TOMBSTONES",
    "MOST_LOOKED_AT",
    "SUBJECTS",
    "TWEET_SIZE",
    "Drawn",
    "Entry",
    "Kind",
    "Page",
    "Reader",
    "Ref",
    "Settled",
    "Source",
    "StoredSource",
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
    "visible",
]
