"""From a page's parts to the bytes of the answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from tweets import facade as tweets
from twitter.lib.pagination import link_header
from twitter.lib.renderers import envelope, to_json

HOME_PATH = "/timeline/timeline"
NEWS_PATH = "/timeline/update"


def page_bytes(
    *,
    ids: Sequence[int],
    mentioned: Sequence[int],
    hydration: tweets.Hydration,
    seen: tweets.ViewerState,
    meta: Mapping[str, Any],
    extra: Mapping[str, Any],
) -> bytes:
    """Return the envelope of a page: tweets joined as bytes, the small rest rendered.

    `mentioned` are the page's tweets and then their originals. `meta` and `extra` (top-level
    members such as `deleted`) come as they stand in JSON.
    """
    return envelope(
        {
            "data": hydration.data(ids),
            "includes": hydration.includes(ids, mentioned),
            "viewer": tweets.viewer(liked=seen.liked, retweeted=seen.retweeted),
            "meta": to_json(meta),
            **{name: to_json(value) for name, value in extra.items()},
        }
    )


def home_page(
    *,
    ids: Sequence[int],
    more: bool,
    mentioned: Sequence[int],
    hydration: tweets.Hydration,
    seen: tweets.ViewerState,
) -> bytes:
    """Return the answer to a read of the home timeline."""
    return page_bytes(
        ids=ids,
        mentioned=mentioned,
        hydration=hydration,
        seen=seen,
        meta={**edges(ids), **next_cursor(ids if more else [])},
        extra={},
    )


def home_links(*, ids: Sequence[int], more: bool, query: Mapping[str, str]) -> str:
    """Return the `Link` header of a page of the home timeline: what is older, and what is newer."""
    older = {"max_id": ids[-1]} if ids and more else None
    newer = {"since_id": ids[0]} if ids else None
    links = [
        link_header(path=HOME_PATH, query=query, next=older),
        link_header(path=NEWS_PATH, query=query, prev=newer),
    ]
    return ", ".join(filter(None, links))


def edges(ids: Sequence[int]) -> dict[str, Any]:
    """Return what `meta` tells of every page."""
    meta: dict[str, Any] = {"result_count": len(ids)}
    return {**meta, "newest_id": str(ids[0]), "oldest_id": str(ids[-1])} if ids else meta


def next_cursor(ids: Sequence[int]) -> dict[str, str]:
    """Return the cursor of the page after these ids."""
    return {"next_cursor": str(ids[-1])} if ids else {}
