"""Tips for new staff come one at a time and stay away for whoever put them away."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch, reverse

from customers.models import TipDismissed
from customers.tips import TIPS
from tests import factories as f

pytestmark = pytest.mark.django_db


def test_one_at_a_time_put_away_by_each_for_themselves() -> None:
    clients = []
    for name in ("ada", "ben"):
        clients.append(Client())
        clients[-1].force_login(User.objects.create_superuser(name, f"{name}@example.com", "x"))
    ada, ben = clients
    f.invoice(f.customer())
    first, second = str(TIPS[0].title), str(TIPS[1].title)
    home = reverse("admin:index")
    assert first in ada.get(home).content.decode()
    assert ada.get(reverse("tip_away", args=[TIPS[0].code])).status_code == 405
    for _ in range(2):
        shown = ada.post(reverse("tip_away", args=[TIPS[0].code]), follow=True).content.decode()
    assert first not in shown
    assert second in shown
    assert first in ben.get(home).content.decode()
    shown = ada.post(reverse("tip_away", args=["all"]), follow=True).content.decode()
    assert "sol-tip" not in shown
    assert TipDismissed.objects.count() == len(TIPS)
    assert ada.post(reverse("tip_away", args=["nonsense"])).status_code == 404
    assert Client().post(reverse("tip_away", args=["all"])).status_code == 302


def test_an_empty_installation_has_no_use_for_tips_yet() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("ada", "ada@example.com", "x"))
    shown = client.get(reverse("admin:index")).content.decode()
    assert "Three steps to the first recovered payment" in shown
    assert "sol-tip" not in shown


@pytest.mark.parametrize("tip", TIPS, ids=lambda tip: tip.code)
def test_every_tip_leads_somewhere(tip: object) -> None:
    try:
        reverse(f"admin:{tip.page}")  # type: ignore[attr-defined]
    except NoReverseMatch:
        pytest.fail("no such page")
