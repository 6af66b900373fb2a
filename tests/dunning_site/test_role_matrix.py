"""Every address of the back office × every role × method: open exactly to whom the map of roles says.

What is expected is worked out, not written down: an address opens where it opens to a superuser (whom no permission
stops, only what a page refuses everybody) and the permission it asks for is among the role's. Views are called without
rendering and without the menu around them, which is the same on every page; that pages render for each role is
tests.dunning_site.test_roles'.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import Http404
from django.template.backends.django import Template
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, resolve, reverse
from django.utils.safestring import mark_safe

from campaigns.models import WorkItem
from customers.attachments import file_attach
from customers.models import Attachment, BulkJob
from dunning_site.roles import APPS, ROLES, roles_sync
from integrations.models import Endpoint, EventDelivery
from tests import factories as make
from tests.dunning_site.test_admin import world
from tests.factories import NOW

#: A permission nobody has.
NOBODY = "-"
#: Addresses that are none of a model's usual ones → what each asks for; "": any member of staff. A new one must be
#: put here, or the matrix does not know what to expect of it.
OWN = {
    "index": "",
    "search": "",
    "jsi18n": "",
    "password_change": "",
    "password_change_done": "",
    "app_list": "",
    "auth_user_password_change": "auth.change_user",
    "customers_bulkjob_confirm": NOBODY,  # who counted it, and nobody else: the fixture's is the superuser's
    "customers_bulkjob_result": "customers.view_bulkjob",
    "billing_invoice_import_file": "billing.add_importrun",
    "billing_importrun_columns": "billing.add_importrun",
    "billing_importrun_rejected": "billing.add_importrun",
    "customers_exportrun_file": NOBODY,  # who asked for it, and nobody else: the fixture's is the office's
    "customers_customer_duplicates": "customers.merge_customer",
    "customers_customer_file": "customers.view_attachment",
    "campaigns_segment_introspect": "campaigns.view_segment",
    "campaigns_segment_count": "campaigns.view_segment",
    "campaigns_inboundmessage_attachment": "campaigns.view_inboundmessage",
    "campaigns_ladderversion_rungs": "campaigns.change_ladderversion",
    "campaigns_ladder_import_yaml": "campaigns.add_ladder",
    "campaigns_templateversion_render": "campaigns.change_templateversion",
    "campaigns_templateversion_names": "campaigns.change_templateversion",
    "campaigns_workitem_next": "campaigns.view_workitem",
    "campaigns_workitem_give": "campaigns.assign_workitem",
    "campaigns_workitem_filters": "campaigns.view_workitem",
}
#: Before and after logging in, and what only redirects or needs a query of its own.
ASIDE = {"login", "logout", "view_on_site", "autocomplete", None}
#: Theirs is a row the fixture has none of (a file of a mail, a draft of a ladder): nothing is there, for nobody.
EMPTY = {"campaigns_inboundmessage_attachment", "campaigns_ladderversion_rungs", "customers_exportrun_file"}
#: Usual suffix → the verb of the permission that GET and POST ask for.
USUAL = {
    "changelist": ("view", "view"),
    "add": ("add", "add"),
    "change": ("view", "change"),
    "delete": ("delete", "delete"),
    "history": ("view", "view"),
    "simple_history": ("view", "change"),
    "import": ("add", "add"),
    "process_import": ("add", "add"),
    "export": ("view", "view"),  # of one row, as a ladder's file
}
PAGES = {f"{m._meta.app_label}_{m._meta.model_name}": (m, page) for m, page in admin.site._registry.items()}
#: The mirror's ninety tables are one class of pages: two of them stand for all.
_MIRROR = {"djstripe_customer", "djstripe_invoice"}


@dataclass(frozen=True, slots=True)
class Address:
    """One address with the permission that GET and POST ask for; empty: none."""

    name: str
    url: str
    get: str
    post: str

    def asks(self, method: str) -> str:
        return self.get if method == "GET" else self.post


def patterns(found: list[Any]) -> Iterator[URLPattern]:
    for each in found:
        if isinstance(each, URLResolver):
            yield from patterns(each.url_patterns)
        else:
            yield each


def addresses() -> list[Address]:
    """Every named address below /admin/, with the ids of the first rows there are."""
    root = next(each for each in get_resolver().url_patterns if str(each.pattern) == "admin/")
    assert isinstance(root, URLResolver)
    found: dict[str, Address] = {}
    for pattern in patterns(root.url_patterns):
        if pattern.name in ASIDE:
            continue
        name = str(pattern.name)
        owner = next((key for key in sorted(PAGES, key=len, reverse=True) if name.startswith(f"{key}_")), "")
        if owner.startswith("djstripe_") and owner not in _MIRROR:
            continue
        for address in _of(name, owner, list(pattern.pattern.converters)):
            found[address.url] = address
    return list(found.values())


def _of(name: str, owner: str, takes: list[str]) -> Iterator[Address]:
    suffix = name.removeprefix(f"{owner}_")
    model, page = PAGES.get(owner, (None, None))
    row: Any = model._default_manager.order_by("pk").first() if model else None
    if name in OWN:
        yield Address(name, reverse(f"admin:{name}", kwargs=_arguments(name, row, takes)), OWN[name], OWN[name])
    elif suffix in ("export", "export_list") and not takes:
        # Of a list one sees; every role sees every list.
        yield Address(name, reverse(f"admin:{name}"), "customers.add_exportrun", "customers.add_exportrun")
    elif suffix in ("changelist", "add", "import", "process_import") and not takes:
        yield _usual(name, owner, suffix, [])
    elif row is None:
        # The mirror is empty, and so are a library's tables: their lists and forms stand for them.
        assert model is not None
        assert model._meta.app_label not in APPS, f"{owner} needs a row in tests.dunning_site.test_admin.world"
    elif suffix == "do":
        for action in page.page_actions:  # type: ignore[union-attr]
            url = reverse(f"admin:{name}", args=[row.pk, action.slug])
            yield Address(f"{name}:{action.slug}", url, action.permission, action.permission)
    elif suffix == "simple_history":
        version = row.history.first()
        if version is not None:
            yield _usual(name, owner, suffix, [row.pk, version.pk])
    else:
        yield _usual(name, owner, suffix, [row.pk])


def _usual(name: str, owner: str, suffix: str, args: list[Any]) -> Address:
    assert suffix in USUAL, f"{name}: say in OWN what it asks for"
    app, model = owner.split("_", 1) if not owner.startswith("django_celery_beat") else (owner[:18], owner[19:])
    get, post = USUAL[suffix]
    return Address(name, reverse(f"admin:{name}", args=args), f"{app}.{get}_{model}", f"{app}.{post}_{model}")


def _arguments(name: str, row: Any, takes: list[str]) -> dict[str, Any]:
    if name == "app_list":
        return {"app_label": "customers"}
    if name == "customers_customer_file":
        file = Attachment.objects.earliest("pk")
        return {"customer_id": file.customer_id, "attachment_id": file.pk}
    if name == "billing_importrun_rejected":
        return {"object_id": row.pk, "form": "csv"}
    if name == "campaigns_inboundmessage_attachment":
        return {"attachment_id": 0}
    return dict.fromkeys(takes, row.pk if row is not None else 0)


#: What views raised, for the message of a test that fails.
raised: list[str] = []


@cache
def view_of(url: str) -> Any:
    """What an address resolves to; looking through a thousand patterns is dearer than most refusals."""
    return resolve(url.partition("?")[0])


def answer(address: Address, user: Any, method: str, data: dict[str, Any] | None = None, *, keep: bool = False) -> int:
    """The status the view gives, unrendered; what it does is taken back, unless it is to be kept."""
    factory = RequestFactory()
    if method in ("GET", "HEAD", "POST"):
        request: Any = getattr(factory, method.lower())(address.url, data or {})
    else:
        request = factory.generic(method, address.url)
    request.user, request.session, request._dont_enforce_csrf_checks = user, SessionStore(), True
    request._messages = FallbackStorage(request)
    request.LANGUAGE_CODE = "en"
    request.resolver_match = match = view_of(address.url)
    with transaction.atomic():
        try:
            response = match.func(request, *match.args, **match.kwargs)
            status: int = response.status_code
            if response.streaming:
                list(response.streaming_content)  # read to its end a file is closed
            for close in response._resource_closers:  # not response.close(): that would end the connection too
                close()
        except PermissionDenied:
            status = 403
        except Http404:
            status = 404
        except RuntimeError as error:
            if "durable" not in str(error):
                raise
            status = 200  # it would have claimed and charged: only not within the test's transaction
        except Exception as error:  # what the site would answer with a 500
            raised.append(f"{method} {address.url} as {user}: {error!r}")
            status = 500
        transaction.set_rollback(not keep)
    return status


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No template is rendered, and the menu is made once for each person: neither decides who may do what."""
    made: dict[Any, dict[str, Any]] = {}
    whole = admin.site.each_context

    def each_context(request: Any) -> dict[str, Any]:
        if request.user.pk not in made:
            made[request.user.pk] = whole(request)
        return dict(made[request.user.pk])

    monkeypatch.setattr(admin.site, "each_context", each_context)
    monkeypatch.setattr(Template, "render", lambda self, context=None, request=None: mark_safe(""))


@pytest.fixture
def staff(db: None, settings: Any, tmp_path: Path) -> dict[str, User]:
    """One of each role, and every kind of row there is."""
    settings.MEDIA_ROOT = tmp_path
    raised.clear()
    roles_sync()
    one = world(1)
    boss = User.objects.create_superuser("boss")
    file_attach(customer_id=one.pk, name="a.txt", content=b"Signed.", actor_id=boss.pk, now=NOW)
    WorkItem.objects.get_or_create(customer=one)
    BulkJob.objects.get_or_create(act="cases.pause", defaults={"asked_by": boss, "created_at": NOW})
    endpoint = Endpoint.objects.create(name="Ours", url="https://example.com/events", events=["case.opened"])
    EventDelivery.objects.create(endpoint=endpoint, event_id="e1", kind="case.opened", payload={}, created_at=NOW)
    people = {"boss": boss}
    for role in ROLES:
        people[role] = make.staff(role)
    return people


def digest() -> dict[str, Any]:
    """A checksum of each table's rows, whatever their order."""
    tables = [name for name in connection.introspection.table_names() if not name.startswith("django_session")]
    with connection.cursor() as cursor:
        parts = [f"SELECT '{name}', count(*), sum(hashtext(t::text)::bigint) FROM \"{name}\" t" for name in tables]
        cursor.execute(" UNION ALL ".join(parts))
        return {name: (count, total) for name, count, total in cursor.fetchall()}


#: Besides GET and POST: who may not do the one may not do these either, whatever they send along.
OTHERS = ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
#: What might be taken for a form that was filled in and confirmed.
BODY = {"action": "delete_selected", "post": "yes", "confirmed": "1", "reason": "x", "note": "x", "_save": "1"}


def opened(staff: dict[str, User], found: list[Address]) -> tuple[list[Any], dict[str, set[tuple[str, str]]]]:
    """Asks every address as every role by every method: what is not as the map says, and what opened to each role."""
    wrong: list[Any] = []
    open_to: dict[str, set[tuple[str, str]]] = {role: set() for role in ROLES}
    for address in found:
        for method in ("GET", "POST"):
            whole = answer(address, staff["boss"], method)
            if whole >= 500 or (whole == 404) is not (address.name in EMPTY):
                wrong.append((method, address.name, "boss", whole))
            asked = address.asks(method)
            # Every role may view everything (the test below), and the auditor no more than that: what opens to them
            # for viewing opens to all, and need not be asked of each.
            alike = asked.partition(".")[2].startswith("view_")
            for role in ("auditor",) if alike else ROLES:
                granted = not asked or staff[role].has_perm(asked)
                status = answer(address, staff[role], method)
                if whole in (403, 404, 405):  # what is closed to a superuser is closed to all
                    right = status in (whole, 403)
                else:
                    right = status not in (403, 404) and status < 500 if granted else status == 403
                    if granted:
                        open_to[role].add((method, address.name))
                if not right:
                    wrong.append((method, address.name, role, status))
                if granted:
                    continue
                others = [("POST", BODY)] if method == "POST" else [(each, None) for each in OTHERS]
                for other, data in others:
                    status = answer(address, staff[role], other, data)
                    if status not in (403, 404, 405):
                        wrong.append((other, address.name, role, status))
    return wrong, open_to


def test_every_address_opens_to_whom_the_map_says(staff: dict[str, User], bare: None) -> None:
    found = addresses()
    assert len(found) > 300
    wrong, open_to = opened(staff, found)
    assert wrong == [], "\n".join([*map(str, wrong), *raised])
    # The map is not empty by a slip: each role reaches more than the one before, and the auditor the least.
    assert open_to["collector"] < open_to["senior"] < open_to["manager"] < open_to["admin"]
    for name in ("campaigns_ladderversion_do:publish", "billing_approvalrequest_do:approve", "campaigns_ladder_add"):
        assert ("POST", name) not in open_to["senior"]


def test_a_door_left_open_would_have_been_noticed(
    staff: dict[str, User], bare: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that asks nobody, an act without its permission, a view that forgets to ask: each is told."""
    mine = [each for each in addresses() if each.name.startswith(("campaigns_ladder_", "customers_brand_"))]
    assert opened(staff, mine)[0] == []
    ladders, brands = PAGES["campaigns_ladder"][1], PAGES["customers_brand"][1]
    monkeypatch.setattr(ladders, "has_add_permission", lambda request, obj=None: True, raising=False)
    monkeypatch.setattr(brands, "has_change_permission", lambda request, obj=None: True, raising=False)
    told = {(method, name, role) for method, name, role, _status in opened(staff, mine)[0]}
    assert ("GET", "campaigns_ladder_add", "collector") in told
    assert ("POST", "customers_brand_change", "auditor") in told


def test_addresses_without_a_name_only_lead_elsewhere() -> None:
    """They are passed over above; one that did something would have to be named."""
    root = next(each for each in get_resolver().url_patterns if str(each.pattern) == "admin/")
    assert isinstance(root, URLResolver)
    views = {
        getattr(each.callback, "view_class", each.callback).__name__
        for each in patterns(root.url_patterns)
        if each.name is None
    }
    assert views <= {"RedirectView", "catch_all_view"}


@pytest.mark.parametrize("role", sorted(ROLES))
def test_permissions_of_a_role_are_the_maps_and_viewing(staff: dict[str, User], role: str) -> None:
    extra = {each for each in staff[role].get_all_permissions() if ".view_" not in each}
    assert extra == {each for each in ROLES[role] if ".view_" not in each}
    views = {f"{m._meta.app_label}.view_{m._meta.model_name}" for m, _page in PAGES.values()}
    known = {each for each in views if each.partition(".")[0] in (*APPS, "djstripe")}
    assert staff[role].has_perms(known)


def test_an_auditor_changes_nothing_by_any_method(staff: dict[str, User], bare: None) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(staff["auditor"])
    before, tried = digest(), 0
    for address in addresses():
        if address.name == "password_change":
            continue  # their own
        answered = client.post(address.url, {})
        if answered.streaming:
            list(answered.streaming_content)
        assert answered.status_code < 500, address
        for method, data in (("POST", BODY), ("PUT", None), ("PATCH", None), ("DELETE", None)):
            assert answer(address, staff["auditor"], method, data, keep=True) < 500, (method, address)
        tried += 5
    for key, (model, page) in PAGES.items():
        if model._meta.app_label not in APPS:
            continue
        rows = [str(pk) for pk in model._default_manager.order_by("pk").values_list("pk", flat=True)[:3]]
        request = RequestFactory().get("/")
        request.user = staff["boss"]
        for action in page.get_actions(request):
            data = {"action": action, ACTION_CHECKBOX_NAME: rows, "post": "yes", "confirmed": "1", "index": "0"}
            answered = client.post(reverse(f"admin:{key}_changelist"), data | {"reason": "x", "export_items": rows})
            assert answered.status_code < 500, (key, action)
            tried += 1
    after = digest()
    # Rows of the log of sign-ins and sessions are not ours to count.
    assert {name for name in before if before[name] != after[name]} - {"auth_user"} == set()
    assert tried > 1500


def test_a_change_would_have_been_noticed(staff: dict[str, User]) -> None:
    before = digest()
    make.customer()
    assert {name for name, value in digest().items() if value != before[name]} >= {"customers_customer"}


def test_strangers_are_asked_to_log_in_everywhere(staff: dict[str, User]) -> None:
    for address in addresses():
        if address.name == "jsi18n":
            continue  # words for scripts, the same for everybody
        for method in ("GET", "POST"):
            assert answer(address, AnonymousUser(), method) == 302, address
    away = User.objects.create_user("not-staff")
    away.groups.add(Group.objects.get(name="admin"))
    assert {answer(address, away, "GET") for address in addresses() if address.name != "jsi18n"} == {302}
