"""The app that knows what we do about it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CampaignsConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "campaigns"
    verbose_name = _("Campaigns")

    def ready(self) -> None:
        """Listens to news of the apps below and to what mail providers tell; has the acts on many cases known."""
        from campaigns import bulk, merging, receivers, tracking  # noqa: F401
        from campaigns.inbound import email  # noqa: F401
