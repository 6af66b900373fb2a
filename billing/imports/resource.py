"""The door to `receivables` for django-import-export: admin pages and `manage.py import_invoices` come through it."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from import_export import fields, resources
from import_export.results import Error, Result, RowResult

from billing.imports.presets import PRESETS
from billing.imports.receivables import ImportReport, receivables_import
from billing.models import Invoice
from billing.money import to_major
from customers import clock
from customers.errors import SollecitoError
from customers.models import Brand


class InvoiceResource(resources.ModelResource):
    """Imports a receivables file by one of PRESETS; exports invoices with amounts in major units.

    `preset` is a key of PRESETS, `brand` a Brand (default: the first), `as_of` the day the file is seen on (default:
    today), `email_domain` see receivables_import. `report` holds the counts of the last import.
    """

    amount = fields.Field(column_name="amount")
    balance = fields.Field(column_name="balance")
    customer = fields.Field(attribute="customer__name", column_name="customer")

    class Meta:
        model = Invoice
        fields = ("number", "customer", "currency", "amount", "balance", "status", "issued_at", "due_at", "paid_at")
        export_order = fields

    def __init__(
        self,
        *,
        preset: str = "standard",
        brand: Brand | None = None,
        as_of: date | None = None,
        email_domain: str = "",
        actor_id: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.preset = PRESETS[preset]
        self.brand = brand
        self.as_of = as_of
        self.email_domain = email_domain
        self.actor_id = actor_id
        self.report = ImportReport()

    def dehydrate_amount(self, invoice: Invoice) -> str:
        """Amount due in major units."""
        return str(to_major(invoice.amount_due, invoice.currency))

    def dehydrate_balance(self, invoice: Invoice) -> str:
        """What is left to pay, in major units."""
        return str(to_major(invoice.balance, invoice.currency))

    def import_data_inner(
        self,
        dataset: Any,
        dry_run: bool,
        raise_errors: bool,
        using_transactions: bool,
        collect_failed_rows: bool,
        **kwargs: Any,
    ) -> Result:
        """Hands all rows to receivables_import, which writes them at once, and tells what became of each."""
        result = Result()
        result.total_rows = len(dataset)
        result.diff_headers = list(dataset.headers or [])
        missing = self.preset.missing(result.diff_headers)
        brand = self.brand or Brand.objects.order_by("pk").first()
        if missing or brand is None:
            reason = (
                _("The file has no column {names}.").format(names=", ".join(missing))
                if missing
                else _("There is no brand yet to import for.")
            )
            result.append_base_error(Error(SollecitoError(reason, code="bad_file")))
            return result
        now = clock.now()
        rows = dataset.dict
        self.report = receivables_import(
            rows=rows,
            preset=self.preset,
            brand=brand,
            as_of=self.as_of or now.date(),
            now=now,
            email_domain=self.email_domain,
            actor_id=self.actor_id,
            dry_run=dry_run,
        )
        self._tell(result, rows, collect_failed_rows)
        return result

    def _tell(self, result: Result, rows: list[Mapping[str, Any]], collect_failed_rows: bool) -> None:
        wrong: dict[int, dict[str, list[str]]] = {}
        for error in self.report.errors:
            wrong.setdefault(error.row, {}).setdefault(error.field, []).append(f"{error.value!r} {error.reason}")
        if collect_failed_rows:
            result.add_dataset_headers(result.diff_headers)
        for number, row in enumerate(rows, start=1):
            told = RowResult()
            told.row_values = dict(row)
            told.diff = [str(value) for value in row.values()]
            if number in wrong:
                invalid = ValidationError(wrong[number])
                told.import_type, told.validation_error = RowResult.IMPORT_TYPE_INVALID, invalid
                result.append_invalid_row(number, row, invalid)
                if collect_failed_rows:
                    result.append_failed_row(row, invalid)
            else:
                told.import_type = self.report.outcomes.get(number, RowResult.IMPORT_TYPE_SKIP)
            result.increment_row_result_total(told)
            result.append_row_result(told)
