"""JSON as the API writes it, and the envelope around every answer."""

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework.utils.encoders import JSONEncoder

# The encoder and the options of DRF's JSONRenderer, which makes an encoder for each rendering.
_encode = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def to_json(data: Any) -> bytes:
    """Render `data` exactly as a DRF view would: compact UTF-8 JSON, safe in JavaScript too."""
    text: str = _encode(data)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()


def array(items: Iterable[bytes]) -> bytes:
    """Join rendered values into a JSON array."""
    return b"[" + b",".join(items) + b"]"


def envelope(parts: Mapping[str, bytes]) -> bytes:
    """Join rendered values into a JSON object: `{"data": …, "includes": …, …}`."""
    return b"{" + b",".join(b'"%s":%s' % (key.encode(), parts[key]) for key in parts) + b"}"
