"""Every address of the site."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from customers.admin.tips import tip_away
from dunning_site.home import login

urlpatterns = [
    path("admin/tips/<slug:tip>/", admin.site.admin_view(tip_away), name="tip_away"),
    path("admin/login/", login),
    path("admin/", admin.site.urls),
    path("p/", include("portal.urls")),
    path("feed/", include("portal.feed_urls")),
    path("webhooks/", include("billing.ingest.urls")),
    path("webhooks/twilio/", include("campaigns.inbound.urls")),
]
# Callbacks of the e-mail provider. Without the secret anybody could tell us that an address bounced.
if settings.ANYMAIL.get("WEBHOOK_SECRET"):
    urlpatterns += [path("anymail/", include("anymail.urls"))]
if settings.EMBEDDED:
    urlpatterns += [path("dev/mail/", include("dunning_site.dev_mail"))]
