"""What a web server holds before its first request."""

import os
import subprocess
import sys

from django.conf import settings

_ASKED = """
import gc, sys
import dunning_site.wsgi
print(gc.get_freeze_count(), "campaigns.admin" in sys.modules)
"""


def test_a_server_has_loaded_its_pages_and_put_them_out_of_the_collectors_way() -> None:
    env = os.environ | {"SECRET_KEY": settings.SECRET_KEY, "DATABASE_URL": "postgresql:///none"}
    told = subprocess.run([sys.executable, "-c", _ASKED], env=env, capture_output=True, text=True, check=True)
    frozen, loaded = told.stdout.split()
    assert int(frozen) > 100_000
    assert loaded == "True"
