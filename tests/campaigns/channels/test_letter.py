import base64
import io
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db.models import F
from pypdf import PdfReader

from billing.models import Invoice, Promise
from campaigns import typeset
from campaigns.channels.base import ChannelError, Outgoing
from campaigns.delivery import DeliverResult, deliver_due
from campaigns.models import Case, Letter, Message, MessageStatus, PrintBatch
from campaigns.services.prints import print_batch_create, print_batch_pdf, print_batch_printed
from customers.errors import SollecitoError
from customers.models import Customer, Interaction, Suppression
from tests import factories
from tests.factories import NOW

ADDRESS = "Via Roma 12\n20121 Milano MI\nITALIA"


@pytest.fixture(autouse=True)
def _links(settings: Any) -> None:
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"
    settings.LETTER_SYSTEM_FONTS = False  # the same on every machine


def outgoing(**fields: Any) -> Outgoing:
    values = {
        "message_id": 1, "key": "k", "recipient": ADDRESS, "recipient_name": "Zażółć Gęślą Sp. z o.o.",
        "from_email": "billing@acme.example", "from_name": "Acme Cloud", "reply_to": "", "html": "",
        "subject": "Second reminder", "text": "Dear Anna,\n\nplease pay 49,00 €.\n\nAcme", "language": "en", "at": NOW,
        "amount": "€49.00", "from_address": "Via Roma 1\n20121 Milano", "country": "IT", "date_words": "10 March 2026",
    } | fields  # fmt: skip
    return Outgoing(**values)


def read(pdf: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(pdf))


def places(page: Any) -> dict[str, tuple[float, float]]:
    """Where each piece of text begins, in millimetres from the left and the top edge."""
    found: dict[str, tuple[float, float]] = {}
    height = float(page.mediabox.height)

    def visit(text: str, cm: Any, tm: Any, font: Any, size: Any) -> None:
        if text.strip():
            x = cm[0] * tm[4] + cm[2] * tm[5] + cm[4]
            y = cm[1] * tm[4] + cm[3] * tm[5] + cm[5]
            found.setdefault(text.strip(), (x * 25.4 / 72, (height - y) * 25.4 / 72))

    page.extract_text(visitor_text=visit)
    return found


@pytest.mark.parametrize(
    ("country", "size", "window"),
    [
        ("IT", (210.0, 297.0), (20, 105, 45, 90)),  # DIN 5008 form B
        ("US", (215.9, 279.4), (22, 137, 51, 81)),  # #10 window envelope, folded in three
    ],
)
def test_the_address_stands_in_the_window(
    country: str, size: tuple[float, float], window: tuple[int, int, int, int]
) -> None:
    sheet = typeset.letter(outgoing(country=country))
    page = read(sheet.pdf).pages[0]
    millimetres = tuple(round(float(side) * 25.4 / 72, 1) for side in (page.mediabox.width, page.mediabox.height))
    assert millimetres == pytest.approx(size, abs=0.2)
    text = page.extract_text()
    for line in ("Zażółć Gęślą Sp. z o.o.", "Via Roma 12", "Second reminder", "please pay 49,00 €.", "€49.00"):
        assert line in text
    left, right, top, bottom = window
    for piece, (x, y) in places(page).items():
        if piece.startswith(("Via Roma 12", "20121 Milano MI", "ITALIA")):
            assert left <= x <= right, piece
            assert top <= y <= bottom, piece


@pytest.mark.parametrize("name", ["Łucja Dell'Àgata", "Ștefan Țîrlea", "Ægir Þórsson", "Ελένη Παπά", "Юлия Щукина"])
def test_european_names_have_their_glyphs(name: str) -> None:
    assert name in read(typeset.letter(outgoing(recipient_name=name)).pdf).pages[0].extract_text()


def test_a_name_no_font_holds_is_refused_not_posted_as_boxes() -> None:
    with pytest.raises(ChannelError) as caught:
        typeset.letter(outgoing(recipient_name="日本語 太郎"))
    assert caught.value.code == "letter_glyph_missing"


def test_what_looks_like_markup_is_text() -> None:
    words = '#set page(paper: "a7") *bold* $x$ @ref #image("/etc/passwd")'
    sheet = typeset.letter(outgoing(text=words, subject=words))
    assert sheet.pages == 1
    assert "*bold* $x$" in read(sheet.pdf).pages[0].extract_text()


def test_a_long_letter_goes_on_overleaf_with_numbered_pages() -> None:
    sheet = typeset.letter(outgoing(text="A paragraph of some length.\n\n" * 90))
    assert sheet.pages >= 2
    assert f"1/{sheet.pages}" in read(sheet.pdf).pages[0].extract_text()


@pytest.mark.parametrize("recipient", ["", "\n".join("line" for _n in range(9))])
def test_an_address_that_does_not_fit_is_refused(recipient: str) -> None:
    with pytest.raises(ChannelError):
        typeset.letter(outgoing(recipient=recipient))


# --- Through the outbox, to the printer.


def queued(**fields: Any) -> Message:
    customer = factories.customer(postal_address=ADDRESS)
    return factories.message(factories.case(customer), channel="letter", recipient=ADDRESS, **fields)


@pytest.mark.django_db
def test_a_letter_waits_for_the_printer_and_counts_when_it_is_posted(django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("mara")
    messages = [queued(), queued()]
    assert deliver_due(now=NOW) == DeliverResult(claimed=2, sent=2)
    assert deliver_due(now=NOW + timedelta(days=1)) == DeliverResult()
    assert Letter.objects.count() == 2
    for message in messages:
        message.refresh_from_db()
        assert (message.status, message.sent_at) == (MessageStatus.TO_PRINT, None)
    assert Case.objects.filter(last_contact_at=None).count() == 2

    made = print_batch_create(actor_id=user.pk, now=NOW)
    assert (made.letters, made.cancelled) == (2, 0)
    assert made.batch is not None
    assert print_batch_create(actor_id=user.pk, now=NOW).batch is None
    with pytest.raises(SollecitoError):
        print_batch_printed(batch_id=made.batch.pk, actor_id=user.pk, now=NOW)

    reader = read(print_batch_pdf(batch_id=made.batch.pk, actor_id=user.pk, now=NOW))
    assert len(reader.pages) == 3
    cover = reader.pages[0].extract_text()
    for message in messages:
        assert f"#{message.pk}" in cover
        assert message.customer.name in cover

    later = NOW + timedelta(hours=3)
    assert print_batch_printed(batch_id=made.batch.pk, actor_id=user.pk, now=later) == 2
    for message in messages:
        message.refresh_from_db()
        assert (message.status, message.sent_at) == (MessageStatus.SENT, later)
    line = Interaction.objects.filter(kind="message.sent").first()
    assert line is not None
    assert (line.actor_id, line.channel, line.direction) == (user.pk, "letter", "out")
    with pytest.raises(SollecitoError):
        print_batch_printed(batch_id=made.batch.pk, actor_id=user.pk, now=later)

    # A jam in the printer: once more is allowed, and told.
    print_batch_pdf(batch_id=made.batch.pk, actor_id=user.pk, now=later)
    assert Interaction.objects.filter(kind="letter.reprinted", actor_id=user.pk).count() == 2
    assert PrintBatch.objects.get().copies == 2


@pytest.mark.django_db
def test_what_was_paid_before_printing_is_called_back(django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("mara")
    paid, owed = queued(), queued()
    deliver_due(now=NOW)
    for link in paid.case.case_invoices.select_related("invoice"):
        link.invoice.amount_paid, link.invoice.status = link.invoice.amount_due, "paid"
        link.invoice.save()
    made = print_batch_create(actor_id=user.pk, now=NOW + timedelta(days=1))
    assert (made.letters, made.cancelled) == (1, 1)
    paid.refresh_from_db()
    assert (paid.status, paid.rule) == (MessageStatus.CANCELLED, "balance.paid")
    assert Letter.objects.get(batch=made.batch).message_id == owed.pk


@pytest.mark.django_db
def test_what_was_paid_while_the_batch_lay_is_called_back_before_it_is_handed_out(django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("mara")
    owed, paid = queued(), queued()
    deliver_due(now=NOW)
    made = print_batch_create(actor_id=user.pk, now=NOW)
    assert made.batch is not None
    Invoice.objects.filter(case_invoices__case=paid.case).update(amount_paid=F("amount_due"), status="paid")
    later = NOW + timedelta(days=1)
    cover = read(print_batch_pdf(batch_id=made.batch.pk, actor_id=user.pk, now=later)).pages[0].extract_text()
    kept, left_out = cover.split("Left out: not to be posted")
    assert f"#{owed.pk}" in kept
    assert f"#{paid.pk}" not in kept
    assert f"#{paid.pk}" in left_out
    paid.refresh_from_db()
    assert (paid.status, paid.rule) == (MessageStatus.CANCELLED, "balance.paid")
    # What was handed out may be in the post: paid now, it is no different.
    Invoice.objects.update(amount_paid=F("amount_due"), status="paid")
    print_batch_pdf(batch_id=made.batch.pk, actor_id=user.pk, now=later)
    assert print_batch_printed(batch_id=made.batch.pk, actor_id=user.pk, now=later) == 1


@pytest.mark.django_db
def test_a_batch_of_which_nothing_is_left_is_no_file(django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("mara")
    queued()
    deliver_due(now=NOW)
    made = print_batch_create(actor_id=user.pk, now=NOW)
    assert made.batch is not None
    Invoice.objects.update(amount_paid=F("amount_due"), status="paid")
    with pytest.raises(SollecitoError) as error:
        print_batch_pdf(batch_id=made.batch.pk, actor_id=user.pk, now=NOW)
    assert error.value.code == "nothing_to_print"
    assert Message.objects.get().status == MessageStatus.CANCELLED


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("happens", "rule", "words"),
    [
        ("paid", "balance.paid", "Nothing is owed any more."),
        ("disputed", "case.disputed", "The debt is disputed."),
        ("promised", "case.promised", "A promise to pay stands."),
        ("bankrupt", "customer.bankrupt", "The customer is insolvent"),
    ],
)
def test_what_changed_between_batch_and_pdf_is_left_out_and_listed(
    django_user_model: Any, happens: str, rule: str, words: str
) -> None:
    user = django_user_model.objects.create_user("mara")
    gone, owed = queued(), queued()
    deliver_due(now=NOW)
    batch = print_batch_create(actor_id=user.pk, now=NOW).batch
    assert batch is not None
    invoice = gone.case.case_invoices.get().invoice
    later = NOW + timedelta(hours=2)
    if happens == "paid":
        invoice.amount_paid, invoice.status = invoice.amount_due, "paid"
    elif happens == "disputed":
        invoice.disputed_at = later
    elif happens == "promised":
        Promise.objects.create(
            customer=gone.customer, brand=gone.brand, amount=invoice.balance, currency=invoice.currency,
            promised_on=later.date(), expires_at=later + timedelta(days=3), created_at=later,
        )  # fmt: skip
    else:
        type(gone.customer).objects.filter(pk=gone.customer_id).update(bankrupt=True)
    invoice.save()

    reader = read(print_batch_pdf(batch_id=batch.pk, actor_id=user.pk, now=later))
    assert len(reader.pages) == 2  # the cover and one letter
    cover = " ".join(reader.pages[0].extract_text().split())
    kept, left_out = cover.split("Left out: not to be posted")
    assert f"#{owed.pk}" in kept
    assert f"#{gone.pk}" not in kept
    assert f"#{gone.pk}" in left_out
    assert words in left_out
    gone.refresh_from_db()
    assert (gone.status, gone.rule) == (MessageStatus.CANCELLED, rule)
    assert gone.customer_id in set(Customer.objects.filter(reassess_at__lte=later).values_list("pk", flat=True))
    assert Interaction.objects.get(kind="message.cancelled").actor_id == user.pk
    # Fetched again it says so again, and nothing is cancelled twice; only the other one counts as posted.
    again = read(print_batch_pdf(batch_id=batch.pk, actor_id=user.pk, now=later))
    assert f"#{gone.pk}" in again.pages[0].extract_text()
    assert Interaction.objects.filter(kind="message.cancelled").count() == 1
    assert print_batch_printed(batch_id=batch.pk, actor_id=user.pk, now=later) == 1


# --- A postal service.


class _Post(BaseHTTPRequestHandler):
    posted: dict[str, dict[str, Any]] = {}
    answer: tuple[int, dict[str, str]] | None = None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        if self.headers["Authorization"] != "Bearer post-key":
            status, words = 401, {"error": "who are you"}
        elif self.answer:
            status, words = self.answer
        else:
            self.posted.setdefault(key, body)
            status, words = 201, {"id": f"ltr_{len(self.posted)}"}
        content = json.dumps(words).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def post_office(settings: Any) -> Iterator[type[_Post]]:
    handler = type("Post", (_Post,), {"posted": {}, "answer": None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    settings.CHANNELS = {"letter": "campaigns.channels.letter.PostalApiChannel"}
    settings.POSTAL_API_URL = f"http://127.0.0.1:{server.server_port}/letters"
    settings.POSTAL_API_KEY = "post-key"
    yield handler
    server.shutdown()
    server.server_close()


@pytest.mark.django_db
def test_a_postal_service_gets_each_letter_once(post_office: type[_Post]) -> None:
    message = queued()
    assert deliver_due(now=NOW).sent == 1
    assert deliver_due(now=NOW + timedelta(days=1)) == DeliverResult()
    (posted,) = post_office.posted.values()
    assert posted["reference"] == message.key
    assert posted["recipient"]["lines"][-1] == "ITALIA"
    assert base64.b64decode(posted["pdf"]).startswith(b"%PDF-")
    message.refresh_from_db()
    assert (message.status, message.provider_id) == (MessageStatus.SENT, "post:ltr_1")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answer", "result", "suppressed"),
    [
        ((422, {"error": "no such street"}), {"failed": 1}, 1),
        ((400, {"error": "bad pdf"}), {"failed": 1}, 0),
        ((429, {}), {"retried": 1}, 0),
        ((500, {}), {"retried": 1}, 0),
        ((403, {}), {"retried": 1}, 0),
    ],
)
def test_a_postal_services_refusals_have_their_consequences(
    post_office: type[_Post], answer: tuple[int, dict[str, str]], result: dict[str, int], suppressed: int
) -> None:
    queued()
    post_office.answer = answer
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, **result)
    assert Suppression.objects.count() == suppressed
