"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("p/", include("portal.urls")),
    path("webhooks/", include("billing.ingest.urls")),
]
