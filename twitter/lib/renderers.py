"""JSON as the API writes it, and the envelope around every answer."""

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework.renderers import JSONRenderer

_renderer = JSONRenderer()


def to_json(data: Any) -> bytes:
    """Render `data` exactly as a DRF view would: compact UTF-8 JSON."""
    return bytes(_renderer.render(data))


def array(items: Iterable[bytes]) -> bytes:
    """Join rendered values into a JSON array."""
    return b"[" + b",".join(items) + b"]"


def envelope(parts: Mapping[str, bytes]) -> bytes:
    """Join rendered values into a JSON object: `{"data": …, "includes": …, …}`."""
    return b"{" + b",".join(b'"%s":%s' % (key.encode(), parts[key]) for key in parts) + b"}"
