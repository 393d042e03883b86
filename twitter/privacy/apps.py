"""Privacy as a Django app, for the sake of its commands."""

from django.apps import AppConfig


class PrivacyConfig(AppConfig):
    """The export of an account, and the search for what a deleted one left."""

    name = "twitter.privacy"
    label = "privacy"
