"""What a reader's newest page was made of the last time that this process read it.

The tweets of the last page are asked for together with the home. If the home is still the same, the
page is there in one round trip, and nothing has to be worked out again; if tweets have arrived,
most of it is. Nothing is taken for granted: the home is compared, by a digest of all its values,
and the tweets, their authors and what may be seen of them are what Redis says now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from timelines import selectors
from timelines.selectors import Page
from timelines.skeleton import Draft
from timelines.store import Replies
from tweets import facade as tweets

# One takes some 6 KB. When there are so many, all are forgotten: they are soon there again.
_MOST = 2_000


@dataclass(frozen=True)
class LastPage:
    """A page, and the commands that read the home and the tweets of that page once more."""

    reader_id: int
    home: bytes  # a digest
    ids: list[int]
    draft: Draft
    query: tweets.Query
    commands: Sequence[bytes]

    def again(self, replies: Replies, *, known: tweets.Found) -> Page | None:
        """Return the page as it is now, or None if home or page are not the same any more."""
        if _digest(replies) != self.home:
            return None
        page = selectors.page_again(
            self.draft, reader_id=self.reader_id, limit=len(self.ids), known=known
        )
        return page if page.ids == self.ids else None


_pages: dict[tuple[int, int], LastPage] = {}


def last_page(*, reader_id: int, limit: int) -> LastPage | None:
    """Return the reader's last page of so many tweets, if there was one."""
    return _pages.get((reader_id, limit))


def remember(page: Page, *, reader_id: int, replies: Replies, commands: Sequence[bytes]) -> None:
    """Remember a full page that was worked out from `replies`; `commands` brought these."""
    query = tweets.query(page.draft.needed) if page.draft else None
    if page.draft is None or query is None:
        return
    if len(_pages) >= _MOST:
        forget()
    _pages[reader_id, len(page.ids)] = LastPage(
        reader_id=reader_id,
        home=_digest(replies),
        ids=page.ids,
        draft=page.draft,
        query=query,
        commands=[*commands, query.command],
    )


def forget() -> None:
    """Forget all pages."""
    _pages.clear()


def _digest(replies: Replies) -> bytes:
    """Return what stands for a home, in 16 bytes: other replies have another digest.

    BLAKE2b, RFC 7693; of 2^64 homes, two would be alike by chance.
    """
    digest = blake2b(b" ".join([*replies.values, replies.kind or b""]), digest_size=16)
    for value in replies.followed:
        digest.update(b"|-" if value is None else b"|%d:%b" % (len(value), value))
    return digest.digest()
