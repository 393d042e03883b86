"""The accounts app: who people are, how they log in, whom they follow."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Sign-up, log-in, profiles, the follow graph."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
