"""Links: minted, opened, counted, revoked; a link that opens nothing tells nothing."""

from datetime import timedelta
from typing import Any

import pytest

from campaigns.links import LinkRequest, link_maker
from customers.errors import SollecitoError
from customers.models import Interaction
from portal import links
from portal.models import PortalLink
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def issued(**fields: Any) -> links.IssuedLink:
    customer = factories.customer(name="Zażółć Gęślą Sp. z o.o.")
    factories.invoice(customer, number="SECRET-0001")
    return links.link_create(customer_id=customer.pk, brand_id=customer.brand_id, now=NOW, **fields)


def test_only_a_hash_is_stored() -> None:
    link = issued()
    assert len(link.token) >= 43
    row = PortalLink.objects.values().get()
    assert link.token not in str(row)
    assert link.url.endswith(f"/p/{link.token}/")


def test_a_link_opens_its_customers_page(client: Any) -> None:
    link = issued()
    response = client.get(link.url)
    assert response.status_code == 200
    assert "SECRET-0001" in response.content.decode()


def test_what_is_wrong_with_a_link_cannot_be_told_from_the_answer(client: Any) -> None:
    good, expired, revoked = issued(), issued(days=1), issued()
    PortalLink.objects.filter(pk=expired.link.pk).update(expires_at=NOW)
    links.link_revoke(link_id=revoked.link.pk, actor_id=None, now=NOW)
    last = good.token[-1]
    altered = good.token[:-1] + ("A" if last != "A" else "B")
    answers = {}
    for name, token in {
        "altered": altered,
        "cut": good.token[:20],
        "longer": good.token + "x",
        "expired": expired.token,
        "revoked": revoked.token,
        "unknown": "x" * 43,
        "other case": good.token.swapcase(),
    }.items():
        for path in ("", "card/", "preferences/", "unsubscribe/", "result/1/", "no/such/page"):
            response = client.get(f"/p/{token}/{path}")
            body = response.content.decode()
            assert "SECRET-0001" not in body
            assert "Zażółć" not in body
            assert "Acme" not in body
            assert token not in body.replace(f'"/p/{token}/{path}?lang=', "")
            for noise in (f"/p/{token}/{path}", response.context["nonce"], str(response.context["csrf_token"])):
                body = body.replace(noise, "")
            answers[name, path] = (response.status_code, body, response["Cache-Control"])
        assert client.post(f"/p/{token}/pay/").status_code == 404
        assert client.post(f"/p/{token}/card/done/", {"setup_intent": "seti_1"}).status_code == 404
        assert client.post(f"/p/{token}/card/intent/").status_code == 404
    assert len(set(answers.values())) == 1
    assert next(iter(answers.values()))[0] == 404


def test_a_customer_deleted_at_the_source_has_no_page(client: Any) -> None:
    link = issued()
    type(link.link.customer).objects.update(deleted_at=NOW)
    assert client.get(link.url).status_code == 404


def test_headers_keep_the_address_secret(client: Any) -> None:
    response = client.get(issued().url)
    assert response["Cache-Control"] == "no-store"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["X-Robots-Tag"] == "noindex, nofollow"
    assert "script-src 'self';" in response["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert "stripe" not in response["Content-Security-Policy"]


def test_a_visit_is_logged_at_most_once_an_hour_but_always_counted(client: Any, monkeypatch: Any) -> None:
    link = issued()
    for minutes in (0, 10, 59, 61):
        monkeypatch.setattr("customers.clock._source", lambda m=minutes: NOW + timedelta(minutes=m))
        assert client.get(link.url).status_code == 200
    link.link.refresh_from_db()
    assert link.link.use_count == 4
    assert link.link.last_used_at == NOW + timedelta(minutes=61)
    assert Interaction.objects.filter(kind="portal.visited", actor_kind="customer").count() == 2


def test_revoking_is_logged_once_with_its_actor(admin_user: Any) -> None:
    link = issued()
    links.link_revoke(link_id=link.link.pk, actor_id=admin_user.pk, now=NOW)
    links.link_revoke(link_id=link.link.pk, actor_id=admin_user.pk, now=NOW)
    assert [i.actor for i in Interaction.objects.filter(kind="portal.link_revoked")] == [admin_user]
    with pytest.raises(SollecitoError):
        links.link_revoke(link_id=0, actor_id=None, now=NOW)


def test_a_batch_of_mails_gets_its_links_in_one_query(django_assert_num_queries: Any, client: Any) -> None:
    customer = factories.customer()
    for size in (1, 30):
        requests = [LinkRequest(key, customer.pk, customer.brand_id) for key in range(size)]
        with django_assert_num_queries(1):
            made = link_maker()(requests, NOW)
        assert set(made) == set(range(size))
    one, two = made[0], made[1]
    assert one.portal != two.portal
    token = one.portal.rstrip("/").rsplit("/", 1)[-1]
    mail = " ".join([one.portal, one.pay, one.update_card, one.preferences, one.unsubscribe, one.pay_invoice(7)])
    assert mail.count(token) == 5  # the way out of a mail is signed by itself
    assert token not in one.redact(mail)
    for url in (one.pay, one.update_card, one.preferences):
        assert client.get(url.split("#")[0], follow=True).status_code == 200


def test_links_that_expired_long_ago_are_dropped() -> None:
    old, young = issued(days=1), issued(days=30)
    assert links.links_purge(now=NOW + timedelta(days=92)) == 1
    assert set(PortalLink.objects.values_list("pk", flat=True)) == {young.link.pk}
    assert old.link.pk != young.link.pk


def test_too_many_requests_are_asked_to_wait(client: Any) -> None:
    link = issued()
    codes = [client.get(link.url).status_code for _ in range(62)]
    assert codes[:60] == [200] * 60
    assert codes[60:] == [429, 429]
    response = client.get(link.url)
    assert response["Retry-After"] == "60"
    assert "SECRET-0001" not in response.content.decode()


def test_a_fault_of_ours_shows_a_calm_page_that_tells_nothing(client: Any, monkeypatch: Any) -> None:
    def fail(**_kwargs: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("portal.views.read_account", fail)
    client.raise_request_exception = False
    response = client.get(issued().url)
    assert response.status_code == 500
    assert "Something went wrong" in response.content.decode()
    assert "secret detail" not in response.content.decode()
