"""Files put with a customer: which are taken, how they come back, and what stays when they go."""

import hashlib
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from customers.attachments import file_attach, file_remove
from customers.errors import SollecitoError
from customers.files import MOST_BYTES
from customers.models import Attachment
from tests import factories as make
from tests.factories import NOW

PDF = b"%PDF-1.7 signed plan"


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Any, db: None) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def anna(db: None) -> User:
    return User.objects.create_user("anna", is_staff=True)


def attach(customer: Any, actor: User, **values: Any) -> Attachment:
    values = {"name": "plan.pdf", "content": PDF} | values
    return file_attach(customer_id=customer.pk, actor_id=actor.pk, now=NOW, **values)


def bytes_of(row: Attachment) -> bytes:
    with row.file.open("rb") as file:
        return bytes(file.read())


def test_a_file_is_kept_under_its_hash_and_told_in_the_log(anna: User) -> None:
    customer = make.customer()
    row = attach(customer, anna, name="../../etc/plan.pdf", note="Signed", subject="case:7")
    assert (row.name, row.size, row.sha256) == ("plan.pdf", len(PDF), hashlib.sha256(PDF).hexdigest())
    assert "plan" not in row.file.name
    assert bytes_of(row) == PDF
    line = customer.interactions.get(kind="file.attached")
    assert (line.actor, line.body, line.data["sha256"], line.data["about"]) == (anna, "Signed", row.sha256, "case:7")


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("plan.pdf", b"", "file_empty"),
        ("plan.html", b"<script>", "file_refused"),
        ("plan.pdf", b"MZ not a PDF", "file_refused"),
        ("plan.svg", b"<svg onload=alert(1)>", "file_refused"),
        ("list.csv", b"a\x00b", "file_refused"),
        ("plan.pdf", PDF + bytes(MOST_BYTES), "file_refused"),
    ],
)
def test_what_is_not_taken(anna: User, name: str, content: bytes, code: str) -> None:
    customer = make.customer()
    with pytest.raises(SollecitoError) as refused:
        attach(customer, anna, name=name, content=content)
    assert refused.value.code == code
    assert not customer.attachments.exists()
    assert not customer.interactions.exists()


def test_a_removed_file_leaves_its_line_and_nothing_else(anna: User, django_capture_on_commit_callbacks: Any) -> None:
    one, other = make.customer(), make.customer()
    row, same = attach(one, anna), attach(other, anna)
    path = row.file.name
    with pytest.raises(SollecitoError):
        file_remove(attachment_id=row.pk, reason=" ", actor_id=anna.pk, now=NOW)
    with django_capture_on_commit_callbacks(execute=True):
        file_remove(attachment_id=row.pk, reason="Wrong customer", actor_id=anna.pk, now=NOW)
    assert not default_storage.exists(path)
    assert bytes_of(same) == PDF
    assert one.interactions.get(kind="file.removed").body == "Wrong customer"
    with pytest.raises(SollecitoError):
        file_remove(attachment_id=row.pk, reason="Again", actor_id=anna.pk, now=NOW)


def test_a_file_is_handed_out_as_a_download_to_who_may_see_it(anna: User, client: Client) -> None:
    customer, other = make.customer(), make.customer()
    row = attach(customer, anna, name='a"b\r\nSet-Cookie: x.pdf')
    client.force_login(anna)
    url = reverse("admin:customers_customer_file", args=[customer.pk, row.pk])
    assert client.get(url).status_code == 403
    anna.user_permissions.add(*Permission.objects.filter(codename__in=["view_customer", "view_attachment"]))
    answer = client.get(url)
    assert b"".join(answer.streaming_content) == PDF  # type: ignore[attr-defined]
    assert answer["Content-Disposition"].startswith("attachment")
    assert "\n" not in answer["Content-Disposition"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Type"] == "application/octet-stream"
    assert client.get(reverse("admin:customers_customer_file", args=[other.pk, row.pk])).status_code == 404


def test_the_form_attaches_and_the_tab_shows_it(anna: User, client: Client) -> None:
    customer = make.customer()
    anna.is_superuser = True
    anna.save()
    client.force_login(anna)
    url = reverse("admin:customers_customer_do", args=[customer.pk, "file"])
    client.post(url, {"file": SimpleUploadedFile("plan.pdf", PDF), "note": "Signed <b>plan</b>"})
    row = customer.attachments.get()
    page = client.get(reverse("admin:customers_customer_change", args=[customer.pk]) + "?tab=notes").content.decode()
    assert reverse("admin:customers_customer_file", args=[customer.pk, row.pk]) in page
    assert "Signed &lt;b&gt;plan&lt;/b&gt;" in page
    refused = client.post(url, {"file": SimpleUploadedFile("x.pdf", PDF + bytes(MOST_BYTES))})
    assert "larger than" in refused.content.decode()
    assert customer.attachments.count() == 1
    other = make.customer()
    elsewhere = attach(other, anna)
    remove = reverse("admin:customers_customer_do", args=[customer.pk, "file-remove"])
    client.post(remove, {"attachment": elsewhere.pk, "reason": "x"})
    elsewhere.refresh_from_db()
    assert elsewhere.removed_at is None
