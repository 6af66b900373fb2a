"""What of a customer is exported and imported; people's columns, spreadsheet formulas made harmless."""

from import_export import resources

from customers.models import Customer


class CustomerResource(resources.ModelResource):
    """One row per customer, found again by its identity at the source."""

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
