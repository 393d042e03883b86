"""Sessions: what a log-in begins."""

from django.conf import settings
from django.db import models

from twitter.base.data.ids import IdField


class Session(models.Model):
    """A session: the family of refresh tokens that follow one another.

    A refresh token is `<session id>.<family part><rotating part>`. The family part stays, the
    rotating part changes at each use. So a token of the family that is not the current one was used
    before. A token of no family is a guess, which must not be able to end a session. The token that
    was exchanged last is kept as well, for the answer may have been lost. Only SHA-256 hashes are
    stored.
    """

    id = IdField()
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, related_name="+"
    )
    family_hash = models.CharField(max_length=64)
    token_hash = models.CharField(max_length=64, help_text="Of the current token.")
    previous_hash = models.CharField(
        max_length=64, null=True, help_text="Of the token that the current one came for."
    )
    exchanged_at = models.DateTimeField(null=True, help_text="When it came.")
    expires_at = models.DateTimeField(db_index=True, help_text="When the row may be deleted.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"session {self.id}"
