"""The worklist and its one-by-one page: who is next, why, and every act one click away."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from billing.plans.offering import obstacles_told
from campaigns.admin.cases import CaseAdmin
from campaigns.admin.rungs import ladder_shown
from campaigns.admin.standing import live_cases
from campaigns.admin.work_actions import ASSIGN, CHANGE, WORK_ACTIONS
from campaigns.admin.work_forms import GiveForm
from campaigns.admin.work_rows import touched, work_row
from campaigns.models import Case, CaseInvoice, Segment, Task, WorkAction, WorkFilter, WorkItem
from campaigns.services.work import work_assign
from campaigns.services.work_filters import filter_delete, filter_save
from campaigns.worklist.lists import (
    COUNTED,
    TABS,
    WorkQuery,
    work_counts,
    work_next,
    work_page,
    work_places,
    work_rows,
)
from campaigns.worklist.refresh import work_refresh
from campaigns.worklist.words import BANDS, REASONS
from customers import clock
from customers.admin.base import ReadOnlyAdmin
from customers.admin.bulk import MOST, result_words
from customers.admin.customer import CustomerAdmin
from customers.admin.page import Fact, PageAdmin, Section, came_from, staff_id
from customers.admin.timeline import lines
from customers.display import customer_zone
from customers.display import zone as tz_of
from customers.errors import SollecitoError
from customers.models import Interaction

_TITLES = {"mine": _("My work"), "team": _("Team"), "free": _("Unassigned")}
#: Lines of the log on the one-by-one page.
_LINES = 12
#: Acts within reach on the one-by-one page, in this order; the others are behind “More”.
_NEAREST = ("call", "write", "promise", "note", "snooze", "done")


def _customer_facts(request: HttpRequest, item: WorkItem, now: datetime) -> list[Fact]:
    """What the customer page says in its header."""
    return [fact for load in CustomerAdmin.page_facts for fact in load(request, item.customer, now)]


def _case(item: WorkItem) -> Case | None:
    """The row's case, as its customer's page knows it too: what is read for the one is read for both."""
    return next((case for case in live_cases(item.customer) if case.pk == item.case_id), None)


def _everything(request: HttpRequest, item: WorkItem, now: datetime) -> dict[str, Any]:
    """The one-by-one page: why, what is owed, where the ladder stands, what was said last, what is to be done."""
    back = came_from(request) or reverse("admin:campaigns_workitem_changelist")
    case, zone = _case(item), customer_zone(item.customer)
    members = (
        CaseInvoice.objects.filter(case__customer=item.pk, case__closed_at=None, left_at=None)
        .select_related("invoice")
        .order_by("invoice__due_at", "pk")
    )
    owed = [member.invoice for member in members[:50]]
    tasks = Task.objects.filter(customer=item.pk, status=Task.Status.OPEN).order_by("due_at", "pk")
    log = Interaction.objects.filter(customer=item.pk).select_related("actor").order_by("-at", "-pk")
    return {
        "row": work_row(item, now, back),
        "case": case,
        "invoices": owed,
        "obstacles": obstacles_told(owed, tz_of(zone)),
        "tasks": tasks[:20],
        "timeline": lines(request, list(log[:_LINES])),
        **(ladder_shown(case, now, zone) if case is not None else {"zone": zone}),
        "list_url": back,
        "next_url": f"{reverse('admin:campaigns_workitem_next')}?{urlencode(_of_list(back) | {'skip': item.pk})}",
    }


def _of_list(back: str) -> dict[str, str]:
    """The filters of the list somebody came from."""
    return dict(parse_qsl(back.partition("?")[2]))


@admin.register(WorkItem)
class WorkItemAdmin(PageAdmin, ReadOnlyAdmin):
    page_facts = [_customer_facts]
    page_sections = [
        Section("work", _("Now"), "admin/campaigns/work/focus.html", _everything, "campaigns.view_workitem", 10)
    ]
    page_details_title = ""
    page_actions = WORK_ACTIONS

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkItem]:
        found: QuerySet[WorkItem] = super().get_queryset(request)
        return found.select_related("customer__brand", "owner", "task")

    def page_title(self, obj: WorkItem) -> str:
        return str(obj.customer)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("next/", view(self.next_view), name="campaigns_workitem_next"),
            path("give/", view(self.give_view), name="campaigns_workitem_give"),
            path("filters/", view(self.filters_view), name="campaigns_workitem_filters"),
            *super().get_urls(),
        ]

    def _page_context(self, request: HttpRequest, obj: WorkItem, current: str, now: datetime) -> dict[str, Any]:
        """Own acts, then those of the customer and the case, as their pages have them; each leads back here."""
        context = super()._page_context(request, obj, current, now)
        of_list = came_from(request)
        onward = f"{reverse('admin:campaigns_workitem_next')}?{urlencode(_of_list(of_list))}"
        here = touched(f"{request.path}?{urlencode({'next': of_list})}", obj.pk)
        case = _case(obj)
        pages: list[tuple[str, Any, Any, str]] = [
            ("campaigns_workitem", self, obj, onward),
            ("customers_customer", CustomerAdmin, obj.customer, here),
        ]
        if case is not None:
            pages.append(("campaigns_case", CaseAdmin, case, here))
        acts: dict[str, dict[str, Any]] = {}
        for route, owner, row, back in pages:
            for action in owner.page_actions:
                if action.slug in acts or not (request.user.has_perm(action.permission) and action.fits(row)):
                    continue
                if action.allows(request, row):
                    url = reverse(f"admin:{route}_do", args=[row.pk, action.slug])
                    acts[action.slug] = {
                        "label": action.label,
                        "icon": action.icon,
                        "danger": action.danger,
                        "url": f"{url}?{urlencode({'next': back})}",
                    }
        near = [acts.pop(slug) for slug in _NEAREST if slug in acts]
        if near and obj.action == WorkAction.CALL:
            near[0]["primary"] = True
        return {**context, "page_actions": [*near, *acts.values()]}

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """The one-by-one page; a customer with nothing left to do leads on to the next."""
        now = clock.now()
        if (pk := request.GET.get("touched", "")).isdecimal():
            work_refresh(now=now, only=[int(pk)])
        if object_id.isdecimal() and not WorkItem.objects.filter(pk=int(object_id)).exists():
            messages.info(request, _now("Nothing is left to do for this customer."))
            back = came_from(request) or reverse("admin:campaigns_workitem_changelist")
            return HttpResponseRedirect(back)
        return super().change_view(request, object_id, *args, **kwargs)

    # --- the list

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The worklist: a tab, narrowed by the filters in the address."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now, user = clock.now(), request.user
        if (pk := request.GET.get("touched", "")).isdecimal():
            # Whoever has just done something to a customer sees it done.
            work_refresh(now=now, only=[int(pk)])
        query = WorkQuery.read(request.GET)
        here = f"{request.path}?{query.encode()}"
        items, more = work_page(work_rows(query, user, now), request.GET.get("after", ""))
        counts = work_counts(user, now)
        return TemplateResponse(
            request,
            "admin/campaigns/work/list.html",
            {
                **self.admin_site.each_context(request),
                **(extra_context or {}),
                "title": _("Worklist"),
                "opts": self.opts,
                "media": self.media,
                "query": query,
                "rows": [work_row(item, now, here) for item in items],
                "more_url": f"?{query.encode()}&{urlencode({'after': more})}" if more else "",
                "first": not request.GET.get("after"),
                "tabs": [
                    {
                        "title": _TITLES[tab],
                        "active": tab == query.tab,
                        "url": f"?{query.encode(tab=tab)}",
                        "count": f"{COUNTED}+" if counts[tab] > COUNTED else counts[tab],
                    }
                    for tab in TABS
                ],
                "shows": [
                    (_("Due now"), f"?{query.encode(show='')}", query.show != "later"),
                    (_("Resting and put aside"), f"?{query.encode(show='later')}", query.show == "later"),
                ],
                "anything": bool(items) or self.get_queryset(request).exists(),
                "unclaimed": counts["free"],
                "choices": self._choices(user),
                "filters": WorkFilter.objects.filter(user=user.pk),
                "here": here,
                "next_url": f"{reverse('admin:campaigns_workitem_next')}?{query.encode()}",
                "give_url": f"{reverse('admin:campaigns_workitem_give')}?{query.encode()}",
                "may_change": request.user.has_perm(CHANGE),
                "may_assign": request.user.has_perm(ASSIGN),
                "may_call": request.user.has_perm("customers.add_interaction"),
                "may_write": request.user.has_perm("campaigns.add_message"),
            },
        )

    def _choices(self, user: Any) -> list[tuple[str, Any, list[tuple[str, Any]]]]:
        places = work_places()
        return [
            ("action", _("What to do"), list(WorkAction.choices)),
            ("reason", _("Why owed"), [(code, words) for code, words in REASONS.items() if code]),
            ("band", _("How late"), [(str(first), words) for first, words in BANDS.items()]),
            ("segment", _("Segment"), list(Segment.objects.values_list("code", "name"))),
            ("language", _("Language"), [(code, code) for code in places["language"]]),
            ("country", _("Country"), [(code, code) for code in places["country"]]),
        ]

    def next_view(self, request: HttpRequest) -> HttpResponse:
        """To the page of whoever comes next in the list of the address, `skip` left out."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now, user = clock.now(), request.user
        done = request.GET.get("touched", "")
        if done.isdecimal():
            work_refresh(now=now, only=[int(done)])
        query = WorkQuery.read(request.GET)
        skip = [int(pk) for pk in request.GET.getlist("skip") if pk.isdecimal()]
        found = work_next(query, user, now, skip) or (work_next(query, user, now) if skip else None)
        back = f"{reverse('admin:campaigns_workitem_changelist')}?{query.encode()}"
        if found is None:
            messages.success(request, _now("That was the last one. Nothing is due in this list."))
            return HttpResponseRedirect(back)
        page = reverse("admin:campaigns_workitem_change", args=[found])
        return HttpResponseRedirect(f"{page}?{urlencode({'next': back})}")

    def give_view(self, request: HttpRequest) -> HttpResponse:
        """Gives out the list of the address (a tab, a segment, a language …) to people in turn; asks first."""
        if not request.user.has_perm(ASSIGN):
            raise PermissionDenied
        now, query = clock.now(), WorkQuery.read(request.GET)
        back = f"{reverse('admin:campaigns_workitem_changelist')}?{query.encode()}"
        rows = work_rows(query, request.user, now).values_list("pk", flat=True)
        form = GiveForm(request.POST or None, label_suffix="")
        if request.method == "POST" and form.is_valid():
            ids = list(rows[: min(form.cleaned_data["most"] or MOST, MOST)])
            people = [person.pk for person in form.cleaned_data["people"]]
            try:
                done = work_assign(customer_ids=ids, owner_ids=people, actor_id=staff_id(request), now=now)
                messages.success(request, result_words(done))
            except SollecitoError as error:
                messages.error(request, error.message)
            return HttpResponseRedirect(back)
        found = rows[: MOST + 1].count()
        return TemplateResponse(
            request,
            "admin/page/action.html",
            {
                **self.admin_site.each_context(request),
                "title": _("Give out work"),
                "opts": self.opts,
                "media": self.media + form.media,
                "action": {
                    "label": _("Give out work"),
                    "question": _("Everybody in the list you came from, with its filters, most valuable first."),
                },
                "form": form,
                "page_title": ngettext("%(n)d row", "%(n)d rows", found) % {"n": min(found, MOST)},
                "back_url": back,
                "refused": not found,
            },
        )

    def filters_view(self, request: HttpRequest) -> HttpResponse:
        """Keeps or drops a filter of one's own (POST only)."""
        if request.method != "POST" or not self.has_view_permission(request):
            raise PermissionDenied
        query = WorkQuery.read(request.POST)
        try:
            if request.POST.get("drop"):
                filter_delete(user_id=staff_id(request), name=request.POST["drop"])
            else:
                filter_save(user_id=staff_id(request), name=request.POST.get("name", ""), query=query.encode())
        except SollecitoError as error:
            messages.error(request, error.message)
        return HttpResponseRedirect(f"{reverse('admin:campaigns_workitem_changelist')}?{query.encode()}")
