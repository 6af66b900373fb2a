"""Addresses under /webhooks/."""

from django.urls import path

from billing.ingest.views import stripe_webhook

urlpatterns = [
    path("stripe/", stripe_webhook, name="stripe-webhook"),
    path("stripe/<slug:account>/", stripe_webhook, name="stripe-webhook-account"),
]
