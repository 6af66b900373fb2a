"""A customer's own ladder on the customer page."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from campaigns.models import LadderOverride
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "x"))
    return client


def do(customer: Any, slug: str) -> str:
    return reverse("admin:customers_customer_do", args=[customer.pk, slug])


def page(client: Client, customer: Any) -> str:
    url = reverse("admin:customers_customer_change", args=[customer.pk])
    return client.get(f"{url}?tab=cases").content.decode()


def test_it_is_chosen_shown_and_taken_away_on_the_page(boss: Client) -> None:
    version = factories.ladder(name="Gently")
    customer = factories.customer()
    before = page(boss, customer)
    assert "None: a case follows the first ladder by priority" in before
    assert do(customer, "own-ladder-clear") not in before
    boss.post(do(customer, "own-ladder"), {"ladder": version.ladder_id, "reason": "Board meets monthly"})
    own = LadderOverride.objects.get(customer=customer)
    assert (own.ladder_id, own.actor.username if own.actor else "") == (version.ladder_id, "boss")
    shown = page(boss, customer)
    assert reverse("admin:campaigns_ladder_change", args=[version.ladder_id]) in shown
    assert "Board meets monthly" in shown
    assert "New cases follow it" in shown
    assert do(customer, "own-ladder-clear") in shown
    asked = boss.get(do(customer, "own-ladder")).content.decode()
    assert f'<option value="{version.ladder_id}" selected>Gently · Payment failed' in asked
    boss.post(do(customer, "own-ladder-clear"), {"reason": "Over"})
    assert not LadderOverride.objects.exists()


def test_only_ladders_in_use_are_offered_and_one_that_fell_out_of_use_is_named(boss: Client) -> None:
    used, idle = factories.ladder(name="Used"), factories.ladder(name="Idle", active=False)
    customer = factories.customer(no_dunning=True)
    asked = boss.get(do(customer, "own-ladder")).content.decode()
    assert ("Used ·" in asked, "Idle ·" in asked) == (True, False)
    answer = boss.post(do(customer, "own-ladder"), {"ladder": idle.ladder_id, "reason": "x"})
    assert answer.context["form"].errors.keys() == {"ladder"}
    boss.post(do(customer, "own-ladder"), {"ladder": used.ladder_id, "reason": "x"})
    used.ladder.active = False
    used.ladder.save()
    shown = page(boss, customer)
    assert "audience and priority choose until it is in use again" in shown
    assert "excluded from dunning, which wins" in shown
