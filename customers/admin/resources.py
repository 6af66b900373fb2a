"""What of a customer is exported and imported; people's columns, spreadsheet formulas made harmless."""

from typing import Any

from import_export import resources

from customers.models import Customer


class CustomerResource(resources.ModelResource):
    """One row per customer, found again by its identity at the source; a merged duplicate's row is passed over."""

    class Meta:
        model = Customer
        import_id_fields = ("source", "external_id")
        skip_unchanged = True
        report_skipped = False
        use_bulk = False
        fields = (
            "source", "external_id", "brand", "name", "email", "phone", "kind", "country", "language", "timezone",
            "no_dunning", "do_not_contact", "legal_hold", "bankrupt", "vulnerable", "exclusion_reason",
        )  # fmt: skip
        export_order = fields

    def get_queryset(self) -> Any:
        return Customer.with_merged.all()

    def skip_row(self, instance: Customer, original: Customer, row: Any, import_validation_errors: Any = None) -> bool:
        merged = instance.merged_into_id is not None
        return merged or bool(super().skip_row(instance, original, row, import_validation_errors))
