"""The site's own settings, with addresses of services that live as long as the test run.

A throw-away PostgreSQL cluster belongs to this process; conftest starts it when the first test needs it.
"""

import os
import tempfile
from pathlib import Path

from dunning_site.embedded.postgres import Cluster

CLUSTER_DATA = Path(tempfile.gettempdir()) / f"sollecito-test-{os.getpid()}" / "data"

os.environ["DATABASE_URL"] = Cluster(CLUSTER_DATA).url()
os.environ["SECRET_KEY"] = "only-for-tests-0123456789"
os.environ["EMBEDDED"] = "1"
os.environ["ANYMAIL_WEBHOOK_SECRET"] = "name:secret"
os.environ["BROKER_URL"] = "memory://"
# Every channel is set up. Nothing listens there either.
os.environ["EMAIL_URL"] = "smtp://127.0.0.1:9"
os.environ["TWILIO_ACCOUNT_SID"] = "AC" + "0" * 32
os.environ["TWILIO_AUTH_TOKENS"] = "only-for-tests"
os.environ["TWILIO_SMS_FROM"] = "+15005550006"
os.environ["TWILIO_WHATSAPP_FROM"] = "+15005550006"
os.environ["TWILIO_API_BASE"] = "http://127.0.0.1:9"
os.environ["STRIPE_SECRET_KEY"] = "sk_test_" + "a" * 24
os.environ["STRIPE_PUBLISHABLE_KEY"] = "pk_test_" + "a" * 24
os.environ["STRIPE_WEBHOOK_SECRETS"] = "whsec_current,whsec_previous"
# Nothing listens there: a test that needs Stripe starts a sandbox of its own and says so.
os.environ["STRIPE_READS_PER_SECOND"] = "0"
os.environ["STRIPE_WRITES_PER_SECOND"] = "0"
os.environ["STRIPE_API_BASE"] = "http://127.0.0.1:9"

from dunning_site.settings import *  # noqa: E402, F403

# What one test's rows answered is no answer to the next one's.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Static files are looked for when asked for, not all listed for every test client.
WHITENOISE_AUTOREFRESH = True
