"""Guesses how an unknown file is written: what its columns hold, its dates and its decimals. A person corrects it."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import combinations
from types import MappingProxyType

from billing.imports.cells import parse_amount, parse_moment
from billing.imports.presets import PRESETS, Preset, plain

#: Words a column of ours is headed by elsewhere, the surest first. Compared without blanks, marks and capitals.
_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "number": (
            "invoicenumber", "invoiceno", "invoiceid", "invoice", "documentnumber", "docno", "num", "number",
            "reference", "fattura", "numerofattura", "rechnungsnummer", "numerodefacture", "numerofactura",
            "numerfaktury", "id",
        ),
        "customer": (
            "customerid", "customernumber", "customerno", "accountnumber", "customercode", "clientid", "debtor",
            "customer", "client", "account", "contact", "cliente", "kundennummer", "kunde", "kontrahent",
        ),
        "customer_name": ("customername", "clientname", "companyname", "company", "name", "ragionesociale", "firma"),
        "email": ("email", "emailaddress", "customeremail", "mail", "contactemail"),
        "country": ("country", "countrycode", "land", "paese", "pays", "kraj"),
        "amount": (
            "invoiceamount", "totalamount", "total", "amount", "gross", "grossamount", "importo", "totale", "betrag",
            "montant", "importe", "kwota",
        ),
        "balance": ("openbalance", "balance", "outstanding", "amountdue", "open", "remaining", "residuo", "saldo"),
        "paid": ("amountpaid", "paidamount", "paid", "pagato"),
        "currency": ("currency", "currencycode", "ccy", "valuta", "wahrung", "devise", "moneda", "waluta"),
        "issued": (
            "invoicedate", "issuedate", "issued", "issuedon", "documentdate", "date", "datafattura", "data",
            "rechnungsdatum", "datefacture", "fecha", "datawystawienia",
        ),
        "due": (
            "duedate", "due", "dueon", "duein", "scadenza", "datascadenza", "falligkeit", "falligam", "echeance",
            "vencimiento", "terminplatnosci",
        ),
        "settled": ("settleddate", "paidon", "paiddate", "paymentdate", "cleareddate", "datapagamento"),
        "disputed": ("disputed", "dispute", "indispute", "contestata"),
    }
)  # fmt: skip
DATE_FORMATS = (
    "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y",
    "%Y%m%d", "%d/%m/%y", "%m/%d/%y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
)  # fmt: skip
_ACCENTS = str.maketrans("àáâäéèêëíìîïóòôöúùûüçñłśżźćńęą", "aaaaeeeeiiiioooouuuucnlszzcnea")


def _bare(heading: str) -> str:
    return re.sub(r"[^a-z0-9]", "", plain(heading).translate(_ACCENTS))


def guess_columns(headings: Sequence[str]) -> dict[str, str]:
    """Our names → the headings they probably are; each heading once."""
    bare = {heading: _bare(heading) for heading in headings}
    found: dict[str, str] = {}
    exact = [
        (0, rank, name, heading)
        for name, words in _WORDS.items()
        for rank, word in enumerate(words)
        for heading, text in bare.items()
        if text == word
    ]
    # The longest word that a heading holds: "invoice amount in USD" is an amount, no invoice's number.
    holding = [
        (1, -len(word), name, heading)
        for name, words in _WORDS.items()
        for word in words
        for heading, text in bare.items()
        if len(word) > 4 and word in text
    ]
    for _order, _rank, name, heading in sorted([*exact, *holding]):
        if name not in found and heading not in found.values():
            found[name] = heading
    if "customer" not in found and "customer_name" in found:
        found["customer"] = found.pop("customer_name")
    return found


def guess_date_format(texts: Sequence[str]) -> str:
    """The format most of `texts` are written in; empty where they can be read in two ways, as 4/6/2013 can: whoever
    sent them must say."""
    told = sorted({text.strip() for text in texts if text.strip()})
    read = {one: [parse_moment(text, one) for text in told] for one in DATE_FORMATS}
    counted = {one: sum(day is not None for day in days) for one, days in read.items()}
    most = max(counted.values())
    if not told or 2 * most <= len(told):
        return DATE_FORMATS[0]
    first, *others = [one for one, count in counted.items() if count == most]
    return "" if any(read[one] != read[first] for one in others) else first


def settle_dates(preset: Preset, headings: Sequence[str], samples: Sequence[Sequence[str]]) -> str:
    """Which of a preset's formats a file's dates may be in: of two that read the same text as different days the one
    the file keeps to; empty where it may be either."""
    texts = _cells(preset.columns, headings, samples, "issued", "due", "settled")
    told = sorted({text.strip() for text in texts if text.strip()})
    formats = preset.date_format.split("|")
    for one, other in combinations(formats, 2):
        if not _clash(one, other):
            continue
        read = [(parse_moment(text, one), parse_moment(text, other)) for text in told]
        first = sum(a is not None and b is None for a, b in read)
        second = sum(b is not None and a is None for a, b in read)
        both = any(a is not None and b is not None and a != b for a, b in read)
        if (first and second) or (both and not first and not second):
            return ""
        if first or second:
            formats.remove(other if first else one)
    return "|".join(formats)


def _clash(one: str, other: str) -> bool:
    """Whether two formats read the same text as different days."""
    written = datetime(2026, 2, 1, 3, 4).strftime(one)  # noqa: DTZ001 (a calendar date)
    return parse_moment(written, other) not in (None, parse_moment(written, one))


def _cells(
    columns: Mapping[str, str], headings: Sequence[str], samples: Sequence[Sequence[str]], *names: str
) -> list[str]:
    places = [list(headings).index(columns[name]) for name in names if columns.get(name) in headings]
    return [row[place] for row in samples for place in places if place < len(row)]


def guess_decimal(texts: Sequence[str]) -> str:
    """`,` where amounts cannot be read with a point, else `.`."""
    told = [text.strip() for text in texts if text.strip()]
    point = sum(parse_amount(text, ".") is not None for text in told)
    comma = sum(parse_amount(text, ",") is not None for text in told)
    return "," if comma > point else "."


def guess_layout(headings: Sequence[str], samples: Sequence[Sequence[str]], *, currency: str = "") -> Preset:
    """A preset for an unknown file, to be corrected by a person; `code` is empty."""
    columns = guess_columns(headings)

    def cells(*names: str) -> list[str]:
        return _cells(columns, headings, samples, *names)

    dates = [text for text in cells("issued", "due", "settled") if not re.fullmatch(r"[\d-]+ [\d:]+", text)]
    return Preset(
        code="",
        columns=columns,
        date_format=guess_date_format(dates or cells("issued", "due", "settled")),
        decimal=guess_decimal(cells("amount", "balance", "paid") or [cell for row in samples for cell in row]),
        currency=currency,
    )


def guess_preset(headings: Sequence[str], presets: Sequence[Preset] = tuple(PRESETS.values())) -> Preset | None:
    """The preset whose needed headings are all there, the one with most of its columns found; None for none."""
    fitting = [preset for preset in presets if not preset.missing(headings)]

    def share(preset: Preset) -> tuple[int, float]:
        found = len(preset.fitted(headings).columns)
        return found, found / len(preset.columns)

    return max(fitting, key=share, default=None)
