"""From a page's parts to the bytes of the answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from tweets import facade as tweets
from twitter.lib.renderers import envelope, to_json


def page_bytes(
    *,
    ids: Sequence[int],
    hydration: tweets.Hydration,
    seen: tweets.ViewerState,
    meta: Mapping[str, Any],
    extra: Mapping[str, Any],
) -> bytes:
    """Return the envelope of a page: tweets joined as bytes, the small rest rendered.

    `meta` and `extra` (top-level members such as `deleted`) come as they stand in JSON.
    """
    parts = {
        "data": hydration.data(ids),
        "includes": hydration.includes(ids),
        "viewer": tweets.viewer(liked=seen.liked, retweeted=seen.retweeted),
        "meta": to_json(meta),
    }
    parts |= {name: to_json(value) for name, value in extra.items()}
    return envelope(parts)
