"""The admin of accounts. Django looks for it here."""

from accounts.moderation import admin as moderation
from accounts.sessions import admin as sessions

__all__ = ["moderation", "sessions"]
