"""The app that knows who owes."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CustomersConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "customers"
    verbose_name = _("Customers")

    def ready(self) -> None:
        """Has the acts on many customers known, and moments read quickly: each import registers what it has."""
        from customers import timestamps  # noqa: F401
        from customers.bulk import people  # noqa: F401
