"""What a collector may do to a case; each asks first, then calls one service."""

from customers.admin.page import PageAction

CASE_ACTIONS: list[PageAction] = []
