"""From a page to the answer: `meta`, and the `Link` header."""

from typing import Any, NamedTuple

from tweets import facade as tweets
from tweets.facade import Page, Reader
from twitter.base.http.pagination import link_header
from twitter.base.http.renderers import to_json
from twitter.base.observe import metrics

HOME_PATH = metrics.HOME
_FULL = b'{"result_count":%d,"newest_id":"%d","oldest_id":"%d","next_cursor":"%d"}'
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
    body = tweets.present(page, reader=reader, meta=_meta(page))
    return Answer(body, ", ".join(filter(None, links)))


def author(page: Page, *, reader: Reader, path: str, limit: int) -> Answer:
    """Return the answer to a read of an author's tweets."""
    newer = {"since_id": page.refs[0].id} if page.refs else None
    links = link_header(path=path, limit=limit, next=_next(page), prev=newer)
    body = tweets.present(page, reader=reader, meta=_meta(page))
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
    meta = {"next_since_id": str(next_since_id), "has_more": has_more, "reread": reread}
    body = tweets.present(
        page,
        reader=reader,
        meta=to_json({**edges(page), **meta}),
        deleted=to_json([str(number) for number in deleted]),
    )
    newer = {"since_id": next_since_id}
    return Answer(body, link_header(path=NEWS_PATH, limit=limit, prev=newer))


def edges(page: Page) -> dict[str, Any]:
    """Return what `meta` tells of every page."""
    ids = page.ids
    meta: dict[str, Any] = {"result_count": len(ids)}
    return {**meta, "newest_id": str(ids[0]), "oldest_id": str(ids[-1])} if ids else meta


def _next(page: Page) -> dict[str, int] | None:
    return {"max_id": page.next_id} if page.next_id else None


def _meta(page: Page) -> bytes:
    """Return `meta` of a page as JSON; a full page, as most are, without a serializer."""
    refs = page.refs
    if refs and page.next_id:
        return _FULL % (len(refs), refs[0].id, refs[-1].id, page.next_id)
    cursor = {"next_cursor": str(page.next_id)} if page.next_id else {}
    return to_json({**edges(page), **cursor})
