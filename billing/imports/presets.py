"""Owns the reading of rows: which column holds what, how dates and amounts are written. Pure.

A new kind of file is one more Preset in PRESETS.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from billing.money import exponent, to_minor
from customers.errors import SollecitoError

_YES = {
    "yes": True,
    "y": True,
    "true": True,
    "1": True,
    "no": False,
    "n": False,
    "false": False,
    "0": False,
    "": False,
}


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row cannot be taken: its number in the file (1 = first below the headings), column, text and reason."""

    row: int
    field: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"Row {self.row}, {self.field} {self.value!r}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Receivable:
    """One invoice of a file. `amount` in minor units of `currency`; dates are calendar dates at the brand's place."""

    row: int
    number: str
    customer: str
    amount: int
    currency: str
    issued: date
    due: date
    settled: date | None = None
    disputed: bool = False
    customer_name: str = ""
    email: str = ""
    country: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preset:
    """How one kind of file is written. `columns` maps our names to its headings; `extra` are kept as metadata."""

    code: str
    columns: Mapping[str, str]
    date_format: str
    currency: str = ""
    extra: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """What (source, external_id) identities of the imported rows begin with."""
        return f"import:{self.code}"

    def missing(self, headings: list[str]) -> list[str]:
        """Headings this preset cannot do without and the file does not have."""
        needed = [self.columns[name] for name in ("number", "customer", "amount", "issued", "due")]
        return [heading for heading in needed if heading not in headings]


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # Its country codes (391, 406, 770, 818, 897) are the data set's own: most are no ISO 3166 number, and the
        # one that is (818, Egypt) would be a guess. They are kept as metadata and no country is derived.
        "ibm": Preset(
            code="ibm",
            columns={
                "number": "invoiceNumber",
                "customer": "customerID",
                "amount": "InvoiceAmount",
                "issued": "InvoiceDate",
                "due": "DueDate",
                "settled": "SettledDate",
                "disputed": "Disputed",
            },
            date_format="%m/%d/%Y",
            currency="USD",
            extra=("countryCode", "PaperlessBill"),
        ),
        "standard": Preset(
            code="standard",
            columns={
                "number": "number",
                "customer": "customer",
                "customer_name": "customer_name",
                "email": "email",
                "country": "country",
                "amount": "amount",
                "currency": "currency",
                "issued": "issued",
                "due": "due",
                "settled": "settled",
                "disputed": "disputed",
            },
            date_format="%Y-%m-%d",
        ),
    }
)


def read_row(preset: Preset, number: int, row: Mapping[str, Any]) -> Receivable | list[RowError]:
    """One row as a Receivable, or everything that is wrong with it."""
    errors: list[RowError] = []

    def text(name: str) -> str:
        value = row.get(preset.columns.get(name, ""), "")
        return "" if value is None else str(value).strip()

    def wrong(name: str, reason: str) -> None:
        errors.append(RowError(number, preset.columns.get(name, name), text(name), reason))

    def day(name: str, *, needed: bool = True) -> date | None:
        raw = row.get(preset.columns.get(name, ""))
        if isinstance(raw, datetime):
            return raw.date()
        if isinstance(raw, date):
            return raw
        if not text(name):
            if needed:
                wrong(name, "is missing")
            return None
        try:
            # A calendar date: the zone comes with the brand.
            return datetime.strptime(text(name), preset.date_format).date()  # noqa: DTZ007
        except ValueError:
            wrong(name, f"is not a date written as {preset.date_format}")
            return None

    for name in ("number", "customer"):
        if not text(name):
            wrong(name, "is missing")
    currency = (text("currency") or preset.currency).upper()
    amount = _amount(text("amount"), currency, wrong)
    issued, due, settled = day("issued"), day("due"), day("settled", needed=False)
    disputed = _YES.get(text("disputed").lower())
    if disputed is None:
        wrong("disputed", "is neither yes nor no")
    if issued and settled and settled < issued:
        wrong("settled", "is before the invoice was issued")
    country = text("country").upper()
    if country and (len(country) != 2 or not country.isalpha()):
        wrong("country", "is not an ISO 3166 two-letter code")
    if errors or issued is None or due is None or amount is None:
        return errors
    return Receivable(
        row=number,
        number=text("number"),
        customer=text("customer"),
        amount=amount,
        currency=currency,
        issued=issued,
        due=due,
        settled=settled,
        disputed=bool(disputed),
        customer_name=text("customer_name"),
        email=text("email"),
        country=country,
        extra={name: str(row.get(name, "")) for name in preset.extra},
    )


def _amount(raw: str, currency: str, wrong: Any) -> int | None:
    """Minor units, or None after telling `wrong` what is."""
    try:
        exponent(currency)
    except SollecitoError as error:
        wrong("currency", error.message)
        return None
    try:
        amount = to_minor(raw, currency)
    except SollecitoError as error:
        wrong("amount", error.message)
        return None
    if amount <= 0:
        wrong("amount", "is not above zero")
        return None
    return amount
