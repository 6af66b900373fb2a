"""All settings, from the environment; what is wrong is refused at start, not at three in the morning."""

import os
from pathlib import Path

from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from dunning_site import env
from dunning_site.admin_site import UNFOLD  # noqa: F401 (a setting)

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = env.text("SECRET_KEY")
DEBUG = env.flag("DEBUG", False)
#: Base of every link in mails, and what the portal is reached under.
BASE_URL = env.text("BASE_URL", "http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS", "127.0.0.1,localhost")
CSRF_TRUSTED_ORIGINS = env.items("CSRF_TRUSTED_ORIGINS")
#: True while the services of dunning_site.embedded stand in for real ones (laptop, demo, tests).
EMBEDDED = env.flag("EMBEDDED", False)
SECURE = env.flag("SECURE_COOKIES", BASE_URL.startswith("https://"))

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "unfold.contrib.import_export",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "simple_history",
    "import_export",
    "django_celery_beat",
    "anymail",
    "djangoql",
    "djstripe",
    "customers",
    "billing",
    "campaigns",
    "portal",
    "insights",
    "integrations",
    "dunning_site",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "dunning_site.languages.BackOfficeLanguage",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]

ROOT_URLCONF = "dunning_site.urls"
WSGI_APPLICATION = "dunning_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": env.database("DATABASE_URL")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")

LANGUAGE_CODE = env.text("LANGUAGE_CODE", "en")
LANGUAGES = [
    ("en", _("English")),
    ("it", _("Italian")),
    ("fr", _("French")),
    ("pl", _("Polish")),
    ("de", _("German")),
    ("es", _("Spanish")),
]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.text("TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = True
FORMAT_MODULE_PATH = ["dunning_site.formats"]

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "dunning_site" / "static"]
MEDIA_ROOT = Path(env.text("MEDIA_ROOT", str(BASE_DIR / "var" / "media")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True

SESSION_COOKIE_SECURE = SECURE
CSRF_COOKIE_SECURE = SECURE
CSRF_FAILURE_VIEW = "portal.views.csrf_failure"
SESSION_COOKIE_AGE = 12 * 3600
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", False)
#: A reverse proxy of ours sets X-Forwarded-Proto and X-Forwarded-For; without one both are the visitor's word.
BEHIND_PROXY = env.flag("BEHIND_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- E-mail. Any Anymail backend; SMTP by EMAIL_URL where none is named.
EMAIL_BACKEND = env.text("EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend")
for _name, _value in env.mail("EMAIL_URL").items():
    globals()[_name] = _value
#: Where the embedded SMTP sink keeps what it takes in; read by /dev/mail/ (dunning_site.dev_mail).
DEV_MAIL_DIR = Path(env.text("SOLLECITO_VAR", str(BASE_DIR / "var"))) / "mail"
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "billing@localhost")
#: Providers post incoming mail with its attachments in one body; 25 MB is what mail servers carry.
DATA_UPLOAD_MAX_MEMORY_SIZE = 26 * 1024 * 1024
#: Where replies are to arrive (`reply@in.example.com`, handed to /anymail/<provider>/inbound/); each mail gets an
#: address of its own with a sign after a plus. Empty: replies go to the brand's own mailbox.
INBOUND_ADDRESS = env.text("INBOUND_ADDRESS", "")
ANYMAIL = {
    name.removeprefix("ANYMAIL_"): value for name, value in os.environ.items() if name.startswith("ANYMAIL_") and value
}

# --- Stripe. Keys and secrets come from the environment only and are never stored or logged.
STRIPE_SECRET_KEY = env.text("STRIPE_SECRET_KEY", "")
STRIPE_PUBLISHABLE_KEY = env.text("STRIPE_PUBLISHABLE_KEY", "")
#: Newest first; older ones stay valid while a rotation is under way.
STRIPE_WEBHOOK_SECRETS = env.items("STRIPE_WEBHOOK_SECRETS")
STRIPE_WEBHOOK_TOLERANCE = env.number("STRIPE_WEBHOOK_TOLERANCE", 300)
STRIPE_API_BASE = env.text("STRIPE_API_BASE", "https://api.stripe.com").rstrip("/")
STRIPE_JS_URL = env.text("STRIPE_JS_URL", "https://js.stripe.com/v3/")
STRIPE_TIMEOUT = env.number("STRIPE_TIMEOUT", 20)
#: dj-stripe mirrors Stripe's objects; our own columns are what is queried.
STRIPE_LIVE_MODE = STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))
if STRIPE_LIVE_MODE:
    STRIPE_LIVE_SECRET_KEY = STRIPE_SECRET_KEY
else:
    STRIPE_TEST_SECRET_KEY = STRIPE_SECRET_KEY
if STRIPE_API_BASE != "https://api.stripe.com":
    STRIPE_API_HOST = STRIPE_API_BASE
    # dj-stripe warns of any other host than Stripe's; here it is a sandbox that was asked for.
    SILENCED_SYSTEM_CHECKS = ["djstripe.W002"]
#: Shapes of objects are those of this version, for our own calls and for dj-stripe's, whatever the library's default.
STRIPE_API_VERSION = "2026-05-27.dahlia"
#: Stripe allows 100 reads/s live and 25 in test mode; 0 is no limit (a sandbox of our own).
STRIPE_READS_PER_SECOND = env.number("STRIPE_READS_PER_SECOND", 80 if STRIPE_LIVE_MODE else 20)
#: Stripe allows 25 writes/s per endpoint; each worker process keeps to its own share of them, 0 is no limit.
STRIPE_WRITES_PER_SECOND = env.number("STRIPE_WRITES_PER_SECOND", 25)
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"

# --- Celery: messages are wake-ups only; the database is the queue of record.
BROKER_URL = env.text("BROKER_URL", "")
CELERY_BROKER_URL = BROKER_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    # Of whoever wakes a loop (a web request, a batch): a broker that is away may cost a moment, not seconds.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_SOFT_TIME_LIMIT = 540
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"

# --- What higher apps offer to lower ones, by name, so that imports stay one way.
#: campaigns asks it for each mail's links: see portal.links.
CUSTOMER_LINKS = "portal.links.links_for_mail"
#: billing asks it which customers are in which segment: see billing.retries.policies.
CUSTOMER_SEGMENTS = "campaigns.segments.membership.SEGMENTS"
#: How long a link to the payment page stays valid.
#: Who among the staff looks after which customers; the lowest app asks it without importing the one that knows.
CUSTOMER_OWNERSHIP = "campaigns.ownership.customers_of"
PORTAL_LINK_DAYS = env.number("PORTAL_LINK_DAYS", 30)
#: Secrets the merchant's server signs feed tokens with, newest first, and the sites that may read the feed.
FEED_SECRETS = env.items("FEED_SECRETS")
FEED_ORIGINS = env.items("FEED_ORIGINS")
#: Channel name → class, see campaigns.channels. One that is not named here cannot be used by a step.
CHANNELS = {
    "email": "campaigns.channels.email.EmailChannel",
    "sms": "campaigns.channels.twilio.SmsChannel",
    "whatsapp": "campaigns.channels.twilio.WhatsAppChannel",
    # Printed by people; `campaigns.channels.letter.PostalApiChannel` hands letters to a postal service instead.
    "letter": env.text("LETTER_CHANNEL", "campaigns.channels.letter.PrintedLetterChannel"),
    "in_app": "campaigns.channels.in_app.InAppChannel",
    "webhook": "integrations.webhooks.channel.WebhookChannel",
}
#: Networks endpoints may lie in although they are not public (`10.1.0.0/16`); http is allowed to their numbers.
WEBHOOK_ALLOWED_NETWORKS = env.items("WEBHOOK_ALLOWED_NETWORKS")
#: Folders with fonts for letters beside those that come with the typesetter; the system's are used too.
LETTER_FONTS = env.items("LETTER_FONTS")
LETTER_SYSTEM_FONTS = env.flag("LETTER_SYSTEM_FONTS", True)
POSTAL_API_URL = env.text("POSTAL_API_URL", "")
POSTAL_API_KEY = env.text("POSTAL_API_KEY", "")
POSTAL_API_TIMEOUT = env.number("POSTAL_API_TIMEOUT", 30)

# --- Twilio. Senders are a number in E.164 or a messaging service (MG…).
TWILIO_ACCOUNT_SID = env.text("TWILIO_ACCOUNT_SID", "")
#: Newest first; all of them are accepted under callbacks while a rotation is under way.
TWILIO_AUTH_TOKENS = env.items("TWILIO_AUTH_TOKENS")
TWILIO_API_KEY = env.text("TWILIO_API_KEY", "")
TWILIO_API_SECRET = env.text("TWILIO_API_SECRET", "")
TWILIO_API_BASE = env.text("TWILIO_API_BASE", "https://api.twilio.com").rstrip("/")
TWILIO_TIMEOUT = env.number("TWILIO_TIMEOUT", 20)
TWILIO_SMS_FROM = env.text("TWILIO_SMS_FROM", "")
TWILIO_WHATSAPP_FROM = env.text("TWILIO_WHATSAPP_FROM", "")
#: Meta's approved templates: `template.language=HX…` or `template=HX…`, comma-separated.
TWILIO_WHATSAPP_CONTENT = env.pairs("TWILIO_WHATSAPP_CONTENT")

#: What contacts cost, for simulations: minor units of the currency per thousand, by channel. The defaults are rough
#: ones, so that a first simulation shows a cost at all: put in what you pay.
CONTACT_COSTS = env.prices("CONTACT_COSTS", "email=10,sms=830")
CONTACT_COSTS_CURRENCY = env.text("CONTACT_COSTS_CURRENCY", "USD")

# --- Files in and out. Customers come in by django-import-export; lists go out by customers.exports.
IMPORT_EXPORT_IMPORT_PERMISSION_CODE = "add"
#: Days until imported files, their rejected rows among them, and written exports are deleted; the history stays.
IMPORT_FILES_KEPT_DAYS = env.number("IMPORT_FILES_KEPT_DAYS", 30)
EXPORT_FILES_KEPT_DAYS = env.number("EXPORT_FILES_KEPT_DAYS", 7)

#: Giving money up beyond a limit needs a second person; off where there is but one (docs/roles.md).
FOUR_EYES = env.flag("FOUR_EYES", True)

# --- Sizes of batches; the defaults suit a small database server.
#: A YAML file with newer rows of statutory interest (billing/fees/rates.yaml); empty: the shipped table alone.
FEE_RATES = env.text("FEE_RATES", "")
BATCH_SIZE_ESCALATE = env.number("BATCH_SIZE_ESCALATE", 1000)
#: What a killed worker keeps others from sending until the sweep finds it.
BATCH_SIZE_DELIVER = env.number("BATCH_SIZE_DELIVER", 25)
BATCH_SIZE_PLAN = env.number("BATCH_SIZE_PLAN", 100)
#: Most charges a retry model is fitted on, the newest; bounds the time and memory of the weekly fit.
RETRY_FIT_ROWS = env.number("RETRY_FIT_ROWS", 200_000)
BATCH_SIZE_CHARGE = env.number("BATCH_SIZE_CHARGE", 20)
BATCH_SIZE_INGEST = env.number("BATCH_SIZE_INGEST", 100)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
    },
    # The address of a portal page is a key: whoever reads the log must not walk in.
    "filters": {"no_tokens": {"()": "dunning_site.logs.WithoutTokens"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["no_tokens"]}},
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {"stripe": {"level": "WARNING"}, "twilio": {"level": "WARNING"}, "djstripe": {"level": "WARNING"}},
}
