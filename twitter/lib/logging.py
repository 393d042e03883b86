"""Logs as JSON lines on stdout."""

import json
import logging
import re
from datetime import UTC, datetime

# What PostgreSQL adds to an error quotes the row, or the key, that a constraint refused.
_DETAIL = re.compile(r"\nDETAIL:  .*?(?=\n\n|\nHINT:|\nCONTEXT:|\Z)", re.DOTALL)


def without_details(text: str) -> str:
    """Return an error's text, or a traceback, without what PostgreSQL quotes of people's data."""
    return _DETAIL.sub("", text)


class JSONFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_details(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = without_details(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)
