"""Owns the reading of one row: text, dates and amounts as people and programs write them, and what is wrong. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from billing.imports.cells import LONE, parse_amount, parse_moment, shown
from billing.imports.items import Charge, Item, Receivable, RowError
from billing.imports.presets import PAYMENTS, Preset
from billing.money import exponent, to_minor
from customers.errors import SollecitoError
from customers.exports import FORMULA, unescape_cell

#: Minor units no invoice reaches; beyond, it is a slip of the pen or of a program.
MOST_AMOUNT = 10**15
#: Characters our columns hold.
_LENGTHS = {"number": 100, "customer": 255, "customer_name": 255, "email": 320, "country": 2, "currency": 3}
_LENGTH = 500
_YES = dict.fromkeys(("yes", "y", "true", "1", "x"), True) | dict.fromkeys(("no", "n", "false", "0", ""), False)
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
_SIMPLE_MAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]{2,}")


def read_row(preset: Preset, number: int, row: Mapping[str, Any]) -> Item | list[RowError]:
    """One row as what it stands for, or everything that is wrong with it."""
    return _Row(preset, number, row).read()


class _Row:
    """One row being read; `errors` gathers what is wrong."""

    def __init__(self, preset: Preset, number: int, row: Mapping[str, Any]) -> None:
        self.preset = preset
        self.number = number
        self.row = row
        self.errors: list[RowError] = []

    def read(self) -> Item | list[RowError]:
        if not any(str(value).strip() for value in self.row.values() if value is not None):
            return [RowError(self.number, "", "", _("is blank"), _("Delete the row."))]
        if self._unreadable():
            return self.errors
        item = self._charge() if self.preset.kind == PAYMENTS else self._receivable()
        return self.errors or item or [RowError(self.number, "", "", _("cannot be read"))]

    def wrong(self, name: str, reason: str, remedy: str = "") -> None:
        self.errors.append(
            RowError(self.number, self.preset.columns.get(name, name), shown(self._raw(name))[:200], reason, remedy)
        )

    # --- cells

    def _raw(self, name: str) -> Any:
        raw = self.row.get(self.preset.columns.get(name, ""))
        return raw.strip() if isinstance(raw, str) else raw

    def text(self, name: str, *, needed: bool = False) -> str:
        raw = self._raw(name)
        if isinstance(raw, float) and raw.is_integer():
            raw = int(raw)  # a sheet keeps the number 1041 as 1041.0
        text = "" if raw is None else unescape_cell(str(raw)).strip()
        if not text:
            if needed:
                self.wrong(name, _("is missing"), _("Fill it in."))
            return ""
        most = _LENGTHS.get(name, _LENGTH)
        if len(text) > most:
            self.wrong(
                name,
                _("is longer than {most} characters").format(most=most),
                _("Shorten it; if it runs over several lines, close the quotation mark."),
            )
            return ""
        if text.startswith(FORMULA) and not re.match(r"[+-][\d\s()]", text):
            self.wrong(name, _("is a formula"), _("Put in the value it comes to."))
            return ""
        return text

    def day(self, name: str, *, needed: bool = True) -> date | None:
        moment = self.moment(name, needed=needed)
        return moment.date() if moment is not None else None

    def moment(self, name: str, *, needed: bool = True) -> datetime | None:
        raw = self._raw(name)
        if isinstance(raw, datetime):
            return raw
        if isinstance(raw, date):
            return datetime(raw.year, raw.month, raw.day)  # noqa: DTZ001 (a calendar date)
        text = self.text(name, needed=needed)
        if not text:
            return None
        found = parse_moment(text, self.preset.date_format)
        if found is None or not 1970 <= found.year <= 2200:
            example = datetime(2026, 12, 31, 14, 5)  # noqa: DTZ001
            self.wrong(
                name,
                _("is not a date as this file writes them"),
                _("Write it like {example}, or name the columns anew and choose another format.").format(
                    example=example.strftime(self.preset.date_format.split("|")[0])
                ),
            )
            return None
        return found

    def amount(self, name: str, currency: str, *, least: int = 0) -> int | None:
        raw = self._raw(name)
        if raw is None or raw == "":
            self.wrong(name, _("is missing"), _("Fill it in."))
            return None
        if isinstance(raw, bool):
            value = None
        elif isinstance(raw, int | float):
            # A sheet's numbers are binary fractions: their shortest text is what was typed.
            value = parse_amount(repr(raw), ".")
        else:
            value = parse_amount(unescape_cell(str(raw)), self.preset.decimal)
        if value is None:
            mark = self.preset.decimal
            self.wrong(
                name,
                _("is not an amount"),
                _("Write it in digits, like 1234{mark}50.").format(mark=mark),
            )
            return None
        try:
            minor = to_minor(value, currency)
        except SollecitoError as error:
            self.wrong(name, error.message.rstrip("."), _("Round it to what the currency has."))
            return None
        if minor < least:
            reason = _("is not above zero") if least else _("is below zero")
            self.wrong(name, reason, _("Credits are no invoices: book them on the invoice they belong to."))
            return None
        if minor > MOST_AMOUNT:
            self.wrong(name, _("is too large to be true"), _("Check the amount."))
            return None
        return minor

    def currency(self) -> str:
        code = (self.text("currency") or self.preset.currency).upper()
        if not code:
            self.wrong("currency", _("is missing"), _("Fill it in, or choose a currency for the whole file."))
            return ""
        try:
            exponent(code)
        except SollecitoError:
            self.wrong("currency", _("is no currency we know"), _("Write its three letters, like EUR."))
            return ""
        return code

    def _unreadable(self) -> bool:
        for heading, raw in self.row.items():
            if not isinstance(raw, str):
                continue
            if LONE.search(raw):
                reason = _("holds bytes that are no text in the file's encoding")
                remedy = _("Save the file as UTF-8, or choose its encoding in the mapping.")
            elif _INVISIBLE.search(raw):
                reason = _("holds an invisible character (a byte order mark, a zero-width blank or a control code)")
                remedy = _("Delete it: two files may have been put one after the other.")
            else:
                continue
            self.errors.append(RowError(self.number, heading, shown(raw)[:200], reason, remedy))
        return bool(self.errors)

    # --- what rows stand for

    def _who(self) -> dict[str, str]:
        name, email, country = self.text("customer_name"), self.text("email"), self.text("country").upper()
        if email and not _SIMPLE_MAIL.fullmatch(email):
            self.wrong("email", _("is not an e-mail address"), _("Correct it, or leave it empty."))
        if country and (len(country) != 2 or not country.isalpha()):
            self.wrong("country", _("is not an ISO 3166 two-letter code"), _("Write it like IT, or leave it empty."))
        return {"customer_name": name, "email": email, "country": country}

    def _receivable(self) -> Receivable | None:
        number = self.text("number", needed=True)
        customer = self.text("customer", needed=True)
        who = self._who()
        currency = self.currency()
        amount = paid = None
        if currency:
            amount, paid = self._sums(currency)
        issued, settled = self.day("issued"), self.day("settled", needed=False)
        terms = self.preset.terms_days
        due = self.day("due", needed=terms is None)
        if due is None and issued is not None and terms is not None:
            due = issued + timedelta(days=terms)
        if issued and due and due < issued:
            self.wrong("due", _("is before the invoice was issued"), _("Check both dates and their order."))
        if issued and settled and settled < issued:
            self.wrong("settled", _("is before the invoice was issued"), _("Check both dates and their order."))
        disputed = _YES.get(self.text("disputed").lower())
        if disputed is None:
            self.wrong("disputed", _("is neither yes nor no"), _("Write yes or no."))
        status = self._status()
        if self.preset.only is not None:
            column, words = self.preset.only
            kind = str(self.row.get(column) or "").strip()
            if kind.casefold() not in words:
                self.errors = [
                    RowError(
                        self.number,
                        column,
                        kind,
                        _("is not an invoice"),
                        _("Nothing to mend: only invoices are taken. Credits belong on the invoice."),
                    )
                ]
        if self.errors or issued is None or due is None or amount is None or paid is None:
            return None
        return Receivable(
            row=self.number,
            number=number,
            customer=customer,
            amount=amount,
            currency=currency,
            issued=issued,
            due=due,
            settled=settled,
            disputed=bool(disputed),
            paid=paid,
            status=status,
            extra={name: shown(self.row[name]) for name in self.preset.extra if self.row.get(name) not in (None, "")},
            customer_name=who["customer_name"],
            email=who["email"],
            country=who["country"],
        )

    def _sums(self, currency: str) -> tuple[int | None, int | None]:
        """Amount and what is paid of it: a file tells two of amount, paid and balance, or the balance alone."""
        told = self.preset.columns
        if "amount" not in told:
            return self.amount("balance", currency, least=1), 0
        amount = self.amount("amount", currency, least=1)
        if "paid" in told and self._raw("paid") not in (None, ""):
            paid = self.amount("paid", currency)
            column = "paid"
        elif "balance" in told and self._raw("balance") not in (None, ""):
            balance = self.amount("balance", currency)
            column, paid = "balance", None if balance is None or amount is None else amount - balance
        else:
            return amount, 0
        if amount is not None and paid is not None and not 0 <= paid <= amount:
            self.wrong(column, _("is more than the invoice's amount"), _("Check both amounts."))
        return amount, paid

    def _status(self) -> str:
        word = self.text("status").lower()
        if not word or not self.preset.statuses:
            return ""
        status = self.preset.statuses.get(word)
        if status is None:
            known = ", ".join(sorted(self.preset.statuses))
            self.wrong("status", _("is a status we do not know"), _("Known are: {known}.").format(known=known))
        return status or ""

    def _charge(self) -> Charge | None:
        number = self.text("number", needed=True)
        who = self._who()
        customer = self.text("customer") or who["email"]
        if not customer:
            self.wrong("customer", _("is missing"), _("Payments of nobody cannot be filed: fill in who paid."))
        currency = self.currency()
        amount = self.amount("amount", currency, least=1) if currency else None
        refunded = 0
        if currency and self._raw("refunded") not in (None, ""):
            refunded = self.amount("refunded", currency) or 0
            if amount is not None and refunded > amount:
                self.wrong("refunded", _("is more than the payment"), _("Check both amounts."))
        at = self.moment("issued")
        status = self._status()
        if not status and not self.errors:
            self.wrong("status", _("is missing"), _("Fill it in."))
        if self.errors or amount is None or at is None:
            return None
        return Charge(
            row=self.number,
            number=number,
            customer=customer,
            amount=amount,
            currency=currency,
            at=at.replace(tzinfo=UTC),  # the export says so in its heading
            succeeded=status == "paid",
            refunded=refunded,
            reason=self.text("reason"),
            message=self.text("message"),
            method=self.text("method"),
            invoice=self.text("invoice"),
            customer_name=who["customer_name"],
            email=who["email"],
            country=who["country"],
        )
