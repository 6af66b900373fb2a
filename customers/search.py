"""Owns finding rows by words in columns: each column by its own index, the customers with the words first."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet

from customers.models import Customer
from customers.visibility import NOBODY, among, seen

#: Rows with the words somebody looks for that are told apart; the words of more of them are common ones.
FOUND_LIMIT = 2_000
#: Customers likewise: told how many there are, the database knows whether to begin with them or to walk down the list.
CUSTOMERS_LIMIT = 20_000


def found(rows: QuerySet[Any], lookups: Mapping[str, str], term: str) -> QuerySet[Any, Any]:
    """The ids of the rows with `term` in one of the columns (column → lookup), of which each is asked for by itself:
    one OR over them would read the whole table."""
    branches = [rows.filter(Q((f"{path}__{how}", term))).order_by().values("pk") for path, how in lookups.items()]
    return branches[0].union(*branches[1:]) if len(branches) > 1 else branches[0]


def found_at(path: str, lookups: Mapping[str, str], term: str, user: Any) -> Q:
    """A condition on rows: their customer, at `path`, has `term` in one of the customer's columns, and `user` may see
    them. Few customers are read now, in one query, so that a list begins with them; many are left to the list."""
    named = found(seen(Customer.objects.all(), user), lookups, term)
    ids = list(named[: CUSTOMERS_LIMIT + 1].values_list("pk", flat=True))
    if not ids:
        return NOBODY
    return among(ids, path=path) if len(ids) <= CUSTOMERS_LIMIT else Q((f"{path}__in", named))
