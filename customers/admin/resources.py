"""What lists of this app hand out, and the columns customers are imported by."""

from customers.export_lists import ListResource
from customers.models import ConsentEvent, Contact, Customer, ExportRun, Interaction, Suppression


class CustomerResource(ListResource):
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


class ContactResource(ListResource):
    class Meta:
        model = Contact
        fields = (
            "customer__name", "customer__external_id", "name", "email", "phone", "role", "language", "is_primary",
            "active",
        )  # fmt: skip
        export_order = fields


class InteractionResource(ListResource):
    class Meta:
        model = Interaction
        fields = ("at", "customer__name", "customer__external_id", "kind", "direction", "channel", "actor_kind",
                  "actor__username", "summary", "body", "outcome")  # fmt: skip
        export_order = fields


class SuppressionResource(ListResource):
    class Meta:
        model = Suppression
        fields = ("channel", "address", "reason", "evidence", "created_at", "lifted_at")
        export_order = fields


class ConsentEventResource(ListResource):
    class Meta:
        model = ConsentEvent
        fields = ("at", "customer__name", "customer__external_id", "channel", "address", "decision", "source",
                  "actor_kind", "actor__username", "evidence", "wording_version", "language")  # fmt: skip
        export_order = fields


class ExportRunResource(ListResource):
    class Meta:
        model = ExportRun
        fields = ("created_at", "asked_by__username", "model", "query", "format", "status", "rows", "finished_at",
                  "error")  # fmt: skip
        export_order = fields
