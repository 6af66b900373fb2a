"""The web server's door."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from dunning_site.memory import memory_settle

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dunning_site.settings")
application = get_wsgi_application()
# Pages are loaded with the first request otherwise, after the settling.
import_module(settings.ROOT_URLCONF)
memory_settle()
