"""The back office's pages of what came in, of letters to print and of endpoints."""

from typing import Any

import pytest
from django.core.files.base import ContentFile

from campaigns.delivery import deliver_due
from campaigns.models import Case, InboundAttachment, InboundMessage, Letter, Message, PrintBatch, Task
from customers.models import Interaction
from integrations.models import Endpoint
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _here(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"
    settings.MEDIA_ROOT = str(tmp_path)
    settings.LETTER_SYSTEM_FONTS = False
    monkeypatch.setattr("customers.clock._source", lambda: NOW)


def stranger(**fields: Any) -> InboundMessage:
    values = {
        "channel": "email", "external_id": "<x@y>", "kind": "human", "received_at": NOW, "sender": "anna@else.example",
        "subject": "My bill", "text": "<script>alert(1)</script> I paid",
    } | fields  # fmt: skip
    return InboundMessage.objects.create(**values)


def test_letters_are_printed_from_the_admin(admin_client: Any) -> None:
    customer = factories.customer(postal_address="Via Roma 1\n20121 Milano")
    message = factories.message(factories.case(customer), channel="letter", recipient=customer.postal_address)
    deliver_due(now=NOW)
    assert "1 letter waits" in admin_client.get("/admin/campaigns/printbatch/add/").content.decode()
    assert admin_client.post("/admin/campaigns/printbatch/add/").status_code == 302
    batch = PrintBatch.objects.get()
    page = admin_client.get(f"/admin/campaigns/printbatch/{batch.pk}/change/")
    assert customer.name in page.content.decode()
    pdf = admin_client.post(f"/admin/campaigns/printbatch/{batch.pk}/do/pdf/")
    assert pdf["Content-Type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")
    assert admin_client.post(f"/admin/campaigns/printbatch/{batch.pk}/do/printed/").status_code == 302
    message.refresh_from_db()
    assert message.status == "sent"
    assert admin_client.get("/admin/campaigns/printbatch/").status_code == 200


def test_who_may_not_print_sees_no_letter(client: Any, django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("auditor", is_staff=True)
    client.force_login(user)
    factories.message(factories.case(factories.customer()), channel="letter", recipient="A\nB")
    deliver_due(now=NOW)
    batch = PrintBatch.objects.create(created_at=NOW, created_by=user)
    Letter.objects.update(batch=batch)
    assert client.get("/admin/campaigns/printbatch/add/").status_code == 403
    assert client.post(f"/admin/campaigns/printbatch/{batch.pk}/do/pdf/").status_code == 403


def test_a_strangers_message_is_filed_by_hand_and_then_counts(admin_client: Any) -> None:
    case = factories.case(factories.customer())
    row = stranger()
    page = admin_client.get(f"/admin/campaigns/inboundmessage/{row.pk}/change/").content.decode()
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert admin_client.get("/admin/campaigns/inboundmessage/").status_code == 200
    url = f"/admin/campaigns/inboundmessage/{row.pk}/do/assign/"
    assert admin_client.post(url, {"customer_id": case.customer_id}).status_code == 302
    row.refresh_from_db()
    assert (row.customer_id, row.case_id, row.matched_by) == (case.customer_id, case.pk, "staff")
    assert Case.objects.get().state == "paused"
    assert Task.objects.get().customer_id == case.customer_id
    assert set(Interaction.objects.values_list("kind", flat=True)) >= {"reply.assigned", "reply.received"}
    admin_client.post(url, {"customer_id": case.customer_id})
    assert Interaction.objects.filter(kind="reply.received").count() == 1


def test_an_attachment_is_a_download_and_nothing_else(admin_client: Any, client: Any, django_user_model: Any) -> None:
    row = InboundAttachment(inbound=stranger(), name="proof.pdf", content_type="text/html", size=5, sha256="ab" * 32)
    row.file.save("whatever.html", ContentFile(b"%PDF-"))
    url = f"/admin/campaigns/inboundmessage/attachment/{row.pk}/"
    answer = admin_client.get(url)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == 'attachment; filename="proof.pdf"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert b"".join(answer.streaming_content) == b"%PDF-"
    client.force_login(django_user_model.objects.create_user("nobody", is_staff=True))
    assert client.get(url).status_code == 403
    assert admin_client.get("/admin/campaigns/inboundmessage/attachment/999999/").status_code == 404


def test_an_endpoint_is_set_up_in_the_admin(admin_client: Any) -> None:
    values = {
        "name": "Biller", "kind": "webhook", "url": "https://hooks.acme.example/in", "email": "",
        "secret": "whsec_eA==", "events": ["case.lost", "task.created"], "brand": "", "active": "on",
    }  # fmt: skip
    assert "whsec_" in admin_client.get("/admin/integrations/endpoint/add/").content.decode()
    assert admin_client.post("/admin/integrations/endpoint/add/", values).status_code == 302
    assert Endpoint.objects.get().events == ["case.lost", "task.created"]
    refused = admin_client.post("/admin/integrations/endpoint/add/", values | {"url": "https://10.0.0.1/"})
    assert "private network" in refused.content.decode()
    assert admin_client.get("/admin/integrations/endpoint/").status_code == 200
    assert admin_client.get("/admin/integrations/eventdelivery/").status_code == 200
    assert Message.objects.count() == 0
