"""A person's message goes by the guard and the outbox like any other, once, as its preview showed it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from campaigns.delivery import deliver_due
from campaigns.models import Case, Message, Template
from campaigns.rendering.problems import TemplateRefused
from campaigns.services.promises import promise_record
from campaigns.services.writing import message_draft, message_write
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor() -> int:
    return get_user_model().objects.create_user("mia").pk


@pytest.fixture
def case() -> Case:
    return factories.case(factories.customer(name="Ada", email="ada@example.com"))


def words(case: Case, **options: Any) -> dict[str, Any]:
    version = factories.template().versions.get(status="published")
    # A whole document as it was published is compiled again for the preview.
    version.texts.update(
        body="<mj-section><mj-column><mj-text>Dear {{ customer.name }}</mj-text></mj-column></mj-section>"
    )
    return {"case_id": case.pk, "version_id": version.pk, "channel": "email", "now": NOW} | options


def test_what_is_shown_is_what_arrives(case: Case, actor: int, smtp_sink: Any) -> None:
    own = {"subject": "About {{ oldest_invoice.number }}", "text": "Dear {{ customer.name }},\n\nwe can wait."}
    draft = message_draft(**words(case, language="", **own))
    assert draft.recipient == "ada@example.com"
    assert draft.verdict is not None
    assert draft.verdict.level == "ok"
    assert draft.shown is not None
    assert "we can wait." in draft.shown.text
    message = message_write(**words(case, actor_id=actor, key="form", **own))
    assert deliver_due(now=NOW).sent == 1
    message.refresh_from_db()
    assert (message.status, message.subject) == ("sent", draft.shown.subject)
    assert "we can wait." in message.html
    assert (message.actor_id, Interaction.objects.get(kind="message.written").actor_id) == (actor, actor)


def test_sent_twice_the_form_makes_one_message(case: Case, actor: int) -> None:
    first = message_write(**words(case, actor_id=actor, key="form"))
    assert message_write(**words(case, actor_id=actor, key="form")) == first
    assert (Message.objects.count(), Interaction.objects.count()) == (1, 1)


def test_what_the_guard_forbids_is_not_queued(case: Case, actor: int) -> None:
    promise_record(
        customer_id=case.customer_id, brand_id=case.brand_id, amount=4900, currency="EUR",
        promised_on=NOW.date(), now=NOW,
    )  # fmt: skip
    assert message_draft(**words(case, language="")).why_not
    with pytest.raises(SollecitoError) as refused:
        message_write(**words(case, actor_id=actor))
    assert refused.value.code == "guard"
    assert not Message.objects.exists()


def test_what_the_guard_puts_off_waits(case: Case, actor: int) -> None:
    night = NOW.replace(hour=2)
    message = message_write(**words(case, actor_id=actor, now=night))
    assert message.send_at is not None
    assert night < message.send_at <= night + timedelta(hours=9)
    assert deliver_due(now=night).claimed == 0


def test_words_that_cannot_be_filled_in_are_refused(case: Case, actor: int) -> None:
    with pytest.raises(TemplateRefused):
        message_write(**words(case, actor_id=actor, text="Dear {{ customer.nmae }"))
    assert not Message.objects.exists()


def test_a_closed_case_is_not_written_to(case: Case, actor: int) -> None:
    Case.objects.filter(pk=case.pk).update(state="lost", closed_at=NOW, close_reason="exhausted", next_action_at=None)
    with pytest.raises(SollecitoError) as refused:
        message_write(**words(case, actor_id=actor))
    assert refused.value.code == "case_closed"
    assert Template.objects.exists()
