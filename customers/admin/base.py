"""What every admin list of the product shares: fixed-cost counts, read-only logs, indexed search, badges."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Q, QuerySet
from django.forms import Media
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.text import capfirst
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from customers.admin.exports import ExportMixin
from customers.display import badge, choice_badge
from customers.models import Sees
from customers.search import FOUND_LIMIT, found, found_at
from customers.visibility import NOBODY, among, path_to_customer, seen, sees

__all__ = [
    "BaseAdmin",
    "BoundedPaginator",
    "HistoryAdmin",
    "NoDeleteMixin",
    "ReadOnlyAdmin",
    "badge",
    "choice_badge",
]

#: A list counts no further than this; past it people filter or search instead of paging.
COUNT_LIMIT = 2_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts up to COUNT_LIMIT rows, so that a list costs the same over a thousand rows and over a million."""

    template_name = "admin/pagination_bounded.html"

    @cached_property
    def counted(self) -> int:
        """Rows, or COUNT_LIMIT + 1 where there are more."""
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by().values("pk")[: COUNT_LIMIT + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self.counted, COUNT_LIMIT)

    @property
    def is_bounded(self) -> bool:
        """True if there are rows the count leaves out."""
        return self.counted > COUNT_LIMIT


class BoundedChangeList(ChangeList):
    """Knows one count only, so that no page says "show all" of a list it already shows."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        if not self.is_popup:
            # Django's "Select case to view" names an act that nobody on a list is about to do.
            self.title = capfirst(self.opts.verbose_name_plural)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.full_result_count = self.result_count
        self.model_admin.prepare_rows(request, list(self.result_list))


class BaseAdmin(ExportMixin, ModelAdmin):
    """List defaults. `search_exact` names indexed columns compared as they are; `search_prefix` ones compared
    by their beginning; `search_trigram` ones with a trigram index, searched anywhere in the text.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    list_filter_submit = True
    compressed_fields = True
    warn_unsaved_form = True
    actions_list: ClassVar[Iterable[str]] = ("export_list",)

    #: What a list without rows says: what will stand there, and what brings it about.
    empty_text: ClassVar[Any] = ""
    #: What the rows are called when counted, where that is not the name of the list.
    counted_as: ClassVar[Any] = ""

    #: For rows that tell of customers without belonging to one: the field that names who asked for them, or "" where
    #: nobody did (customers.visibility.seen).
    tells_of_many: ClassVar[str | None] = None

    search_exact: ClassVar[Iterable[str]] = ()
    search_prefix: ClassVar[Iterable[str]] = ()
    search_trigram: ClassVar[Iterable[str]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Django looks here to know whether there is a search at all (lists, autocomplete).
        if searched := (*cls.search_exact, *cls.search_prefix, *cls.search_trigram):
            cls.search_fields = searched

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        """Called once with the rows a list page shows: what its columns need of all of them in a few queries."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows of the customers whom the user may see; lists, pages, exports and look-ups all begin here."""
        return self.rows_seen(super().get_queryset(request), request.user)

    def rows_seen(self, rows: QuerySet[Any], user: Any) -> QuerySet[Any]:
        """Those of the rows that somebody sees; a page with a rule of its own names the function that owns it."""
        return seen(rows, user, asked_by=self.tells_of_many)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """As the library's; a row of a customer whom the user may not see is none of the choices, though its id be
        sent."""
        related = db_field.related_model
        if "queryset" not in kwargs and path_to_customer(related) is not None:
            kwargs["queryset"] = seen(related._default_manager.all(), request.user)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> Any:
        # The same answer for what is not there and for what is not theirs: nobody learns which.
        raise Http404

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BoundedChangeList]:
        return BoundedChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Each column is searched by its own index: one OR over them would read the whole table. What is found at
        the customer's is found first, among those the user may see, and the list then begins with these customers."""
        term = search_term.strip()
        lookups = {
            **dict.fromkeys(self.search_exact, "exact"),
            **dict.fromkeys(self.search_prefix, "startswith"),
            **dict.fromkeys(self.search_trigram, "icontains"),
        }
        if not term or not lookups:
            plain: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)
            return plain
        owner = path_to_customer(self.model)
        beside = {path: how for path, how in lookups.items() if owner and path.startswith(f"{owner}__")}
        own = {path: how for path, how in lookups.items() if path not in beside}
        if term.isdecimal() and len(term) < 19:
            own["pk"] = "exact"
        found_here = found(self.model._default_manager.all(), own, term) if own else None
        if not beside:
            return queryset.filter(pk__in=found_here), False
        columns = {path.removeprefix(f"{owner}__"): how for path, how in beside.items()}
        wanted = found_at(str(owner), columns, term, request.user)
        if found_here is not None:
            ids = list(found_here[: FOUND_LIMIT + 1].values_list("pk", flat=True))
            if ids:
                here = among(ids) if len(ids) <= FOUND_LIMIT else Q(pk__in=found_here)
                # An OR with what never holds would read the whole table.
                wanted = here if wanted == NOBODY else wanted | here
        return queryset.filter(wanted), False

    @property
    def media(self) -> Media:
        return super().media  # type: ignore[no-any-return]


class HistoryAdmin(SimpleHistoryAdmin, BaseAdmin):
    """For what people edit: every version kept, with its author."""

    history_list_per_page = 50

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The versions of a row the user may see; the library falls back to a deleted row's, whosever it was."""
        self._refuse_unseen(request, object_id)
        return super().history_view(request, object_id, extra_context)  # type: ignore[no-any-return]

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One version, likewise; sent back it becomes the row again, which is a change like any other."""
        self._refuse_unseen(request, object_id)
        if request.method == "POST" and not self.has_change_permission(request, self.get_object(request, object_id)):
            # The library asks only whether the history may be looked at.
            raise PermissionDenied
        return super().history_form_view(request, object_id, version_id, extra_context)  # type: ignore[no-any-return]

    def _refuse_unseen(self, request: HttpRequest, object_id: str) -> None:
        if sees(request.user) != Sees.ALL and self.get_object(request, unquote(object_id)) is None:
            raise Http404


class ReadOnlyAdmin(BaseAdmin):
    """For logs and for facts told from outside: looked at, never edited."""

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class NoDeleteMixin:
    """For rows others hang on: switched off, never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False
