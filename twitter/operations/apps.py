"""Operations as a Django app, for the sake of its commands, and of a check."""

import logging

from django.apps import AppConfig

from twitter.base.environment import misspelt

logger = logging.getLogger(__name__)


class OperationsConfig(AppConfig):
    """Status and doctor; each process that starts says which variables look misspelt."""

    name = "twitter.operations"
    label = "operations"

    def ready(self) -> None:
        """Warn. A refusal would keep an older version from starting with a newer environment."""
        for name, meant in misspelt():
            logger.warning("%s: no variable of this service; is %s meant?", name, meant)
