"""Addresses under /webhooks/twilio/."""

from django.urls import path

from campaigns.inbound import twilio

urlpatterns = [
    path("status/", twilio.status, name="twilio-status"),
    path("inbound/", twilio.inbound, name="twilio-inbound"),
]
