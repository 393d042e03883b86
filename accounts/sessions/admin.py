"""The admin's own log-in."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.validators import MaxLengthValidator

from accounts.sessions import guessing, hashing, reads
from accounts.validators import MAX_PASSWORD
from twitter.base.http.errors import TooMany
from twitter.base.http.limits import client_address


class LogInForm(AdminAuthenticationForm):
    """The admin's own log-in. It stops guessing as the API does, with limits of its own."""

    password = forms.CharField(
        strip=False,
        # No `max_length`: browsers would cut longer ones off without a word.
        validators=[MaxLengthValidator(MAX_PASSWORD)],
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def clean(self) -> dict[str, Any]:
        """Check name and password, unless there were too many attempts."""
        login, password = (self.cleaned_data.get(name) for name in ("username", "password"))
        if not (login and password):
            return super().clean()  # which looks at no password then
        account = reads.by_login(login)
        with hashing.place():
            try:
                attempt = guessing.begin(
                    kind="admin-log-ins",
                    account_id=account.pk if account else None,
                    login=login,
                    address=client_address(self.request.META if self.request else {}),
                )
            except TooMany as error:
                raise forms.ValidationError(error.detail, code="too_many") from error
            try:
                cleaned: dict[str, Any] = super().clean()
            except forms.ValidationError:
                guessing.failed(attempt)
                raise
        guessing.succeeded(attempt)
        return cleaned


admin.site.login_form = LogInForm
