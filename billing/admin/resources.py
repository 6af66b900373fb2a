"""What lists of this app hand out: columns by django-import-export, amounts in major units."""

from typing import Any

from import_export import fields, resources

from billing.models import Invoice
from billing.money import to_major


class MoneyField(fields.Field):
    """Minor units of the row's currency, handed out in major units."""

    def get_value(self, instance: Any) -> Any:
        """The amount as a Decimal; None for none."""
        amount = super().get_value(instance)
        return None if amount is None else to_major(amount, instance.currency)


class InvoiceResource(resources.ModelResource):
    """Invoices with amounts in major units."""

    amount = MoneyField(attribute="amount_due", column_name="amount")
    balance = MoneyField(attribute="balance", column_name="balance")
    customer = fields.Field(attribute="customer__name", column_name="customer")

    class Meta:
        model = Invoice
        fields = ("number", "customer", "currency", "amount", "balance", "status", "issued_at", "due_at", "paid_at")
        export_order = fields
