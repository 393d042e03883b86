"""What a reader's newest page was made of the last time that this process read it.

The tweets of the last page are asked for together with the home. If the home is still the same, the
page is there in one round trip, and nothing has to be worked out again; if tweets have arrived,
most of it is. If Redis says of everything what it said the last time, so does the answer. Nothing
is taken for granted: each value that an answer is made of is read, and compared with what it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from timelines import selectors
from timelines.selectors import Page
from timelines.skeleton import Draft
from timelines.store import Replies
from tweets import facade as tweets
from twitter.lib.pagination import DEFAULT_LIMIT

# One takes some 45 KB, two thirds of them the answer and what that was made of. When there are so
# many, all are forgotten: they are soon there again.
_MOST = 1_000


class Answer(NamedTuple):
    """A page as it is sent: the `Link` header's value, and the body.

    `made_of` is, besides the home: the query string, what the reader did, the page's tweets and
    their authors.
    """

    made_of: Sequence[Any]
    links: str
    body: bytes


@dataclass
class LastPage:
    """A page, and the commands that read the home and the tweets of that page once more."""

    reader_id: int
    home: Replies
    ids: list[int]
    draft: Draft
    query: tweets.Query
    commands: Sequence[bytes]
    answer: Answer | None = None

    def keep(self, answer: Answer | None) -> None:
        """Keep the answer, to which Redis knew everything, unless it is long: clients choose."""
        self.answer = answer if len(self.ids) <= DEFAULT_LIMIT else None

    def again(self, home: Replies, *, known: tweets.Found) -> Page | None:
        """Return the page as it is now, or None if home or page are not the same any more."""
        if home != self.home:
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
        home=replies,
        ids=page.ids,
        draft=page.draft,
        query=query,
        commands=[*commands, query.command],
    )


def forget() -> None:
    """Forget all pages."""
    _pages.clear()
