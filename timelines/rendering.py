"""From a page to the answer: `meta`, and the `Link` header."""

from typing import NamedTuple

from tweets import facade as tweets
from tweets.facade import Page, Reader
from twitter.base.http.pagination import link_header
from twitter.base.http.renderers import to_json
from twitter.base.observe import metrics

HOME_PATH = metrics.HOME
NEWS_PATH = "/timeline/update"


class Answer(NamedTuple):
    """A page as it is sent: the body, and the `Link` header's value, "" for none."""

    body: bytes
    links: str


def home(page: Page, *, reader: Reader, limit: int) -> Answer:
    """Return the answer to a read of the home timeline: what is older, and what is newer."""
    newer = {"since_id": page.refs[0].id} if page.refs else None
    links = [
        link_header(path=HOME_PATH, limit=limit, next=_next(page)),
        link_header(path=NEWS_PATH, limit=limit, prev=newer),
    ]
    body = tweets.present(page, reader=reader, meta=_meta(page, _cursor(page)))
    return Answer(body, ", ".join(filter(None, links)))


def author(page: Page, *, reader: Reader, path: str, limit: int) -> Answer:
    """Return the answer to a read of an author's tweets."""
    newer = {"since_id": page.refs[0].id} if page.refs else None
    links = link_header(path=path, limit=limit, next=_next(page), prev=newer)
    body = tweets.present(page, reader=reader, meta=_meta(page, _cursor(page)))
    return Answer(body, links)


def news(
    page: Page,
    *,
    reader: Reader,
    next_since_id: int,
    deleted: list[int],
    has_more: bool,
    reread: bool,
    limit: int,
) -> Answer:
    """Return the answer to the question what is new."""
    flags = to_json(has_more), to_json(reread)
    more = b',"next_since_id":"%d","has_more":%b,"reread":%b' % (next_since_id, *flags)
    body = tweets.present(
        page,
        reader=reader,
        meta=_meta(page, more),
        deleted=to_json([str(number) for number in deleted]),
    )
    newer = {"since_id": next_since_id}
    return Answer(body, link_header(path=NEWS_PATH, limit=limit, prev=newer))


def _next(page: Page) -> dict[str, int] | None:
    return {"max_id": page.next_id} if page.next_id else None


def _cursor(page: Page) -> bytes:
    return b',"next_cursor":"%d"' % page.next_id if page.next_id else b""


def _meta(page: Page, more: bytes) -> bytes:
    """Return `meta` of a page as JSON, with `more` members, each after a comma."""
    refs = page.refs
    edges = b',"newest_id":"%d","oldest_id":"%d"' % (refs[0].id, refs[-1].id) if refs else b""
    return b'{"result_count":%d%b%b}' % (len(refs), edges, more)
