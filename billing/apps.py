"""The app that knows what is owed."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BillingConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "billing"
    verbose_name = _("Billing")

    def ready(self) -> None:
        """Listens to news of the app below; has checks, acts for approval, acts on many invoices and what money has to
        say to a merge known."""
        from billing import bulk, checks, merging, receivers  # noqa: F401
        from billing.approvals import credit, waiver, write_off  # noqa: F401
