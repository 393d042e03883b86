"""The entry point of the baselines; DJANGO_SETTINGS_MODULE is theirs."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
