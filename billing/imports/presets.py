"""Owns what a kind of file is: which column holds what, how dates and amounts are written, which rows are meant.

A new kind of file is one more Preset in PRESETS, or a mapping somebody saves in the admin.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from django.utils.translation import gettext_lazy as _

#: Kinds of files: one row is an invoice, or one row is a charge that was tried.
INVOICES, PAYMENTS = "invoices", "payments"
#: Reports for people: a row with its first cell alone names the customer of the rows below, or only a section.
BY_CUSTOMER, BY_SECTION = "customer", "section"

#: Our names of what a column may hold, in the words of the mapping page.
FIELDS: Mapping[str, Any] = MappingProxyType(
    {
        "number": _("Invoice number"),
        "customer": _("Customer number or name"),
        "customer_name": _("Customer name"),
        "email": _("E-mail"),
        "country": _("Country (two letters)"),
        "amount": _("Amount of the invoice"),
        "balance": _("Open balance"),
        "paid": _("Amount paid"),
        "currency": _("Currency"),
        "issued": _("Issued on"),
        "due": _("Due on"),
        "settled": _("Settled on"),
        "disputed": _("Disputed (yes or no)"),
        "status": _("Status"),
    }
)


@dataclass(frozen=True, slots=True)
class Preset:
    """How one kind of file is written.

    `columns` maps our names to its headings; a heading may be several, parted by `|`, of which a file has one, and so
    may `date_format` (strptime); empty: a person must say. `currency` holds where the file tells none; `decimal` is
    the mark before decimals.
    Rows without a due day are due `terms_days` after they were issued; None: the due day must be there. `statuses`
    maps its words, in small letters, to those of InvoiceStatus. `only` names a column and the words a row must hold
    there. `extra` are kept as metadata. Presets of one `family` tell of the same invoices.
    """

    code: str
    columns: Mapping[str, str]
    date_format: str = "%Y-%m-%d"
    name: Any = ""
    kind: str = INVOICES
    family: str = ""
    currency: str = ""
    decimal: str = "."
    terms_days: int | None = None
    statuses: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, tuple[str, ...]] | None = None
    grouping: str = ""
    extra: tuple[str, ...] = ()
    #: How the file itself is written; empty: found out.
    encoding: str = ""
    delimiter: str = ""

    @property
    def source(self) -> str:
        """What (source, external_id) identities of the imported rows begin with."""
        return f"import:{self.family or self.code}"

    @property
    def tells_currency(self) -> bool:
        """Whether it is told what currency amounts are in, by a column or for the whole file."""
        return bool(self.currency or "currency" in self.columns)

    @property
    def needed(self) -> list[str]:
        """Our names of the columns the file must have."""
        if self.kind == PAYMENTS:
            return ["number", "amount", "issued", "status"]
        names = ["number", "amount" if "amount" in self.columns else "balance", "issued"]
        if self.grouping != BY_CUSTOMER:
            names.append("customer")
        return names if self.terms_days is not None else [*names, "due"]

    def fitted(self, headings: Collection[str]) -> "Preset":
        """The preset with each column as this file's heading spells it; optional ones that are not there left out."""
        spelled = {plain(heading): heading for heading in headings}
        columns = {}
        for name, written in self.columns.items():
            choices = written.split("|")
            heading = next((spelled[plain(one)] for one in choices if plain(one) in spelled), None)
            if heading is not None:
                columns[name] = heading
            elif name in self.needed or (name == "customer" and self.grouping == BY_CUSTOMER):
                columns[name] = choices[0]
        only = self.only
        if only is not None:
            only = (spelled.get(plain(only[0]), ""), only[1])
        return replace(self, columns=columns, only=only if only and only[0] else None)

    def missing(self, headings: Collection[str]) -> list[str]:
        """Headings this preset cannot do without and the file does not have."""
        there = {plain(heading) for heading in headings}
        wanted = [self.columns.get(name, str(FIELDS.get(name, name))) for name in self.needed]
        return [
            written.split("|")[0] for written in wanted if not any(plain(one) in there for one in written.split("|"))
        ]

    def as_json(self) -> dict[str, Any]:
        """For ImportRun.layout and ImportMapping.layout."""
        told = {name: value for name, value in asdict(self).items() if value not in ("", None, (), {})}
        always = {"code": self.code, "columns": dict(self.columns), "name": str(self.name)}
        return told | always | {"date_format": self.date_format}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Preset":
        """What `as_json` told."""
        values = dict(told)
        if only := values.get("only"):
            values["only"] = (only[0], tuple(only[1]))
        return cls(**values | {"extra": tuple(values.get("extra", ()))})


def plain(heading: object) -> str:
    """A heading as it is compared: blanks and capitals make no difference."""
    return " ".join(str(heading).split()).casefold()


_STRIPE_STATUS = {word: word for word in ("draft", "open", "paid", "void", "uncollectible")}

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.code: preset
        for preset in (
            Preset(
                code="standard",
                name=_("Our own columns"),
                columns={
                    "number": "number",
                    "customer": "customer",
                    "customer_name": "customer_name",
                    "email": "email",
                    "country": "country",
                    "amount": "amount",
                    "paid": "paid",
                    "currency": "currency",
                    "issued": "issued",
                    "due": "due",
                    "settled": "settled",
                    "disputed": "disputed",
                },
            ),
            # Its country codes (391, 406, 770, 818, 897) are the data set's own: most are no ISO 3166 number, and the
            # one that is (818, Egypt) would be a guess. They are kept as metadata and no country is derived.
            Preset(
                code="ibm",
                name=_("ERP: IBM's accounts receivable sample"),
                columns={
                    "number": "invoiceNumber",
                    "customer": "customerID",
                    "amount": "InvoiceAmount",
                    "currency": "Currency",
                    "issued": "InvoiceDate",
                    "due": "DueDate",
                    "settled": "SettledDate",
                    "disputed": "Disputed",
                },
                date_format="%m/%d/%Y",
                currency="USD",
                extra=("countryCode", "PaperlessBill"),
            ),
            # Headings: Stripe shows no list of them. Those here are the ones analyses of real exports name (`id`,
            # `Customer`, `Amount Due`, `Amount Paid`, `Date (UTC)`, `Finalized At (UTC)`, `Paid At (UTC)`, `Number`,
            # `Status`); the words of the status are the API's (docs.stripe.com/api/invoices/object). Looked up
            # 2026-11-22.
            Preset(
                code="stripe_invoices",
                name=_("Stripe: invoices"),
                family="stripe",
                columns={
                    "number": "id|Invoice ID",
                    "customer": "Customer|Customer ID",
                    "customer_name": "Customer Name",
                    "email": "Customer Email",
                    "amount": "Total|Amount Due",
                    "paid": "Amount Paid",
                    "currency": "Currency",
                    "issued": "Date (UTC)|Created (UTC)|Created date (UTC)|Finalized At (UTC)",
                    "due": "Due Date (UTC)",
                    "settled": "Paid At (UTC)|Status Transitions Paid At (UTC)",
                    "status": "Status",
                },
                date_format="%Y-%m-%d %H:%M|%Y-%m-%d %H:%M:%S|%Y-%m-%d",
                terms_days=0,
                statuses=_STRIPE_STATUS,
                extra=("Number", "Subscription"),
            ),
            # Headings: two public parsers and their samples, in the older spelling `Created (UTC)` and the newer
            # `Created date (UTC)`; docs.cello.so/guides/attribution/stripe-reports names `ID`, `Created (UTC)`,
            # `Amount`, `Currency`, `Customer ID`. Status words in the export: Paid, Refunded, Failed. Looked up
            # 2026-11-22.
            Preset(
                code="stripe_payments",
                name=_("Stripe: payments"),
                family="stripe",
                kind=PAYMENTS,
                columns={
                    "number": "id",
                    "customer": "Customer ID",
                    "customer_name": "Customer Description",
                    "email": "Customer Email",
                    "amount": "Amount",
                    "refunded": "Amount Refunded",
                    "currency": "Currency",
                    "issued": "Created (UTC)|Created date (UTC)",
                    "status": "Status",
                    "reason": "Decline Reason",
                    "message": "Seller Message",
                    "method": "Payment Source Type|Payment Method Type",
                    "invoice": "Invoice ID",
                },
                date_format="%Y-%m-%d %H:%M|%Y-%m-%d %H:%M:%S|%Y-%m-%d",
                statuses={"paid": "paid", "succeeded": "paid", "refunded": "paid", "failed": "failed"},
            ),
            # Headings: Chargebee publishes the fields (datacatalog.chargebee.com/invoices) and the words of the status
            # (apidocs.chargebee.com/docs/api/invoices), not the headings of the file; those are the fields' names in
            # words and are not confirmed. Fields as the API spells them are not taken: its amounts are in cents.
            # Looked up 2026-11-22.
            Preset(
                code="chargebee",
                name=_("Chargebee: invoices"),
                columns={
                    "number": "Invoice Number|Invoice Id",
                    "customer": "Customer Id",
                    "customer_name": "Customer Company|Company",
                    "email": "Customer Email|Email",
                    "amount": "Amount|Total",
                    "paid": "Amount Paid",
                    "balance": "Amount Due",
                    "currency": "Currency|Currency Code",
                    "issued": "Invoice Date|Date",
                    "due": "Due Date",
                    "settled": "Paid On|Paid At",
                    "status": "Status",
                },
                date_format="%d-%b-%Y %H:%M|%d-%b-%Y|%Y-%m-%d %H:%M:%S|%Y-%m-%d",
                terms_days=0,
                statuses={
                    "paid": "paid", "posted": "open", "payment due": "open", "payment_due": "open",
                    "not paid": "open", "not_paid": "open", "voided": "void", "pending": "draft",
                },
                extra=("Subscription Id",),
            ),
            # Headings: samples in the tests of public parsers (title, "As of" and a blank line above, `Num`,
            # `Customer`, `Date`, `Due Date`, `Amount`, `Open Balance`, `P.O. #`). Dates are written as the company's
            # country does, and the report tells no currency unless the company has several: both are asked. Looked up
            # 2026-11-22.
            Preset(
                code="quickbooks",
                name=_("QuickBooks: A/R ageing detail"),
                columns={
                    "number": "Num|No.|Invoice No.",
                    "customer": "Customer|Customer full name|Name",
                    "amount": "Amount",
                    "balance": "Open Balance",
                    "currency": "Currency",
                    "issued": "Date|Invoice date",
                    "due": "Due Date",
                },
                date_format="%m/%d/%Y|%d/%m/%Y|%d.%m.%Y|%Y-%m-%d",
                only=("Transaction Type", ("invoice", "")),
                grouping=BY_SECTION,
                extra=("P.O. #",),
            ),
            # Headings: parsers written against real exports, which also tell that a contact stands alone above its
            # rows, that the last row is `Total`, and that credit notes have no invoice number. Looked up 2026-11-22.
            Preset(
                code="xero",
                name=_("Xero: aged receivables detail"),
                columns={
                    "number": "Invoice Number",
                    "customer": "Contact",
                    "balance": "Total",
                    "currency": "Currency",
                    "issued": "Invoice Date|Date",
                    "due": "Due Date",
                    "email": "Email",
                },
                date_format="%d %b %Y|%b %d, %Y|%d/%m/%Y|%m/%d/%Y|%Y-%m-%d",
                grouping=BY_CUSTOMER,
                extra=("Invoice Reference",),
            ),
        )
    }
)  # fmt: skip
