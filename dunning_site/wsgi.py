"""The web server's door."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dunning_site.settings")
application = get_wsgi_application()
