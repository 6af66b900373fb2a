"""DjangoQL's grammar with precedence and places: a query's text in, its tree out."""

import threading
from decimal import Decimal
from typing import Any, NamedTuple

from django.utils.functional import cached_property
from djangoql.ast import Const, Expression, Logical
from djangoql.parser import DjangoQLParser
from ply.yacc import NullLogger


class Place(NamedTuple):
    """Where something stands in the query, counted from 1."""

    line: int
    column: int


class _Parser(DjangoQLParser):
    """DjangoQL's parser with precedence and places."""

    precedence = (("left", "OR"), ("left", "AND"))
    #: Replaced by the rule below, which names the operators so that precedence applies to them.
    p_logical = None

    def __init__(self) -> None:
        # No table files: they would be written beside the library, which a deployment may not let us.
        super().__init__(errorlog=NullLogger(), tabmodule="campaigns.segments._no_tables")

    def p_expression_logical(self, p: Any) -> None:
        """
        expression : expression OR expression
                   | expression AND expression
        """
        p[0] = Expression(left=p[1], operator=Logical(operator=p[2]), right=p[3])

    def p_name(self, p: Any) -> None:
        """
        name : NAME
        """
        super().p_name(p)
        p[0].place = self._place(p)

    def p_number_int(self, p: Any) -> None:
        """
        number : INT_VALUE
        """
        p[0] = Const(value=Decimal(p[1]))
        p[0].place = self._place(p)

    def p_number_float(self, p: Any) -> None:
        """
        number : FLOAT_VALUE
        """
        super().p_number_float(p)
        p[0].place = self._place(p)

    def p_string(self, p: Any) -> None:
        """
        string : STRING_VALUE
        """
        super().p_string(p)
        p[0].place = self._place(p)

    def p_none(self, p: Any) -> None:
        """
        none : NONE
        """
        super().p_none(p)
        p[0].place = self._place(p)

    def p_true(self, p: Any) -> None:
        """
        true : TRUE
        """
        super().p_true(p)
        p[0].place = self._place(p)

    def p_false(self, p: Any) -> None:
        """
        false : FALSE
        """
        super().p_false(p)
        p[0].place = self._place(p)

    def _place(self, p: Any) -> Place:
        lexer = self.default_lexer
        at = p.lexpos(1)
        start = max(lexer.text.rfind(mark, 0, at) for mark in lexer.line_terminators)
        return Place(p.lineno(1), at - start)


class _Reader:
    """One parser for the process; it keeps its state on itself, so that only one thread may use it at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    @cached_property
    def parser(self) -> _Parser:
        return _Parser()

    def read(self, query: str) -> Any:
        with self.lock:
            return self.parser.parse(query)


READER = _Reader()
