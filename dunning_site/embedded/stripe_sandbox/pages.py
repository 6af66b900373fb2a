"""Owns what a browser sees: the hosted invoice with its form, the invoice as PDF, the script for Elements."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import parse_qsl

from . import collection, methods
from .errors import ApiError
from .store import Obj
from .world import World

SCRIPT = Path(__file__).with_name("stripe.js")
_ZERO = {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
_THREE = {"bhd", "jod", "kwd", "omr", "tnd"}
HTML = "text/html; charset=utf-8"


def handle(world: World, method: str, path: str, raw: bytes) -> tuple[int, str, bytes]:
    """Status, content type and body of a page. Raises ApiError 404 for an unknown one."""
    parts = path.strip("/").split("/")
    if path in {"/v3", "/v3/"} or path.endswith("/stripe.js"):
        return 200, "text/javascript; charset=utf-8", SCRIPT.read_bytes()
    if parts[0] == "receipts" and len(parts) == 2:
        with world.lock:
            charge = world.get("charge", parts[1], in_path=True)
            text = f"Receipt for {money(charge['amount'], charge['currency'])}"
        return 200, HTML, _page(text, f"<p>{escape(parts[1])}</p>")
    if parts[0] == "i" and len(parts) in {2, 3}:
        with world.lock:
            invoice = _by_token(world, parts[1])
            if len(parts) == 3 and parts[2] == "pdf":
                return 200, "application/pdf", pdf(invoice)
            problem = _pay(world, invoice, raw) if method == "POST" else None
            return 402 if problem else 200, HTML, _invoice_page(invoice, problem)
    raise ApiError(404, f"Unrecognized request URL ({method}: {path}).", code="url_invalid")


def _by_token(world: World, token: str) -> Obj:
    for invoice in world.tables["invoice"].objects.values():
        if world.secret(invoice["id"]).get("token") == token:
            return invoice
    raise ApiError(404, "This invoice does not exist.")


def money(amount: int, currency: str) -> str:
    """Minor units as people write them."""
    exponent = 0 if currency in _ZERO else 3 if currency in _THREE else 2
    if exponent == 0:
        return f"{amount} {currency.upper()}"
    whole, rest = divmod(abs(amount), 10**exponent)
    return f"{'-' if amount < 0 else ''}{whole}.{rest:0{exponent}d} {currency.upper()}"


def _pay(world: World, invoice: Obj, raw: bytes) -> str | None:
    """Try to pay with the card of the form; returns what the bank said, or None when paid."""
    number = dict(parse_qsl(raw.decode())).get("number", "").replace(" ", "")
    world.request = {"id": None, "idempotency_key": None}
    try:
        methods.check_number(number)
        collection.pay(world, invoice, methods.new_method(world, number), off_session=False)
    except ApiError as error:
        return str(error)
    finally:
        world.dirty = True
    return None


def _invoice_page(invoice: Obj, problem: str | None) -> bytes:
    amount = escape(money(invoice["amount_remaining"], invoice["currency"]))
    lines = "".join(
        f"<tr><td>{escape(line['description'] or '')}</td>"
        f"<td>{escape(money(line['amount'], line['currency']))}</td></tr>"
        for line in invoice["lines"]["data"]
    )
    body = f"<table>{lines}</table><p>Status: <strong id='status'>{escape(invoice['status'])}</strong></p>"
    if problem:
        body += f"<p role='alert'>{escape(problem)}</p>"
    if invoice["status"] in {"open", "uncollectible"}:
        body += (
            f"<p>To pay: <strong>{amount}</strong></p><form method='post'>"
            "<label for='number'>Card number</label> "
            "<input id='number' name='number' inputmode='numeric' autocomplete='cc-number' required>"
            " <button type='submit'>Pay</button></form>"
        )
    body += f"<p><a href='{escape(invoice['invoice_pdf'])}'>Invoice as PDF</a></p>"
    return _page(f"Invoice {invoice['number']}", body)


def _page(title: str, body: str) -> bytes:
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>body{{font:16px/1.5 sans-serif;max-width:34rem;margin:2rem auto;"
        "padding:0 1rem}td{padding:.2rem 1rem .2rem 0}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    ).encode()


def pdf(invoice: Obj) -> bytes:
    """A small, valid PDF of an invoice."""
    rows = [f"Invoice {invoice['number']}", f"To: {invoice['customer_name'] or invoice['customer']}", ""]
    for line in invoice["lines"]["data"]:
        rows.append(f"{line['description'] or ''}   {money(line['amount'], line['currency'])}")
    rows += [
        "",
        f"Amount due: {money(invoice['amount_due'], invoice['currency'])}",
        f"Status: {invoice['status']}",
    ]
    drawn = "".join(f"({_pdf_text(row)}) Tj T*\n" for row in rows)
    content = f"BT /F1 12 Tf 56 780 Td 18 TL\n{drawn}ET".encode("cp1252", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, obj in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, obj)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def _pdf_text(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
