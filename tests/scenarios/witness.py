"""Watches the sandbox and the mail server from outside: what was true of our own rows when a charge or mail came.

It reads by a connection of its own, so that it sees what is committed and nothing else, and believes no loop's
account of itself.
"""

import threading
from collections import Counter
from email import message_from_bytes

import psycopg
from django.db import connection

from dunning_site.embedded.smtp_sink import Sink
from dunning_site.embedded.stripe_sandbox.server import SandboxServer

_HEADER = "X-Sollecito-Message"
_ATTEMPT = """
    SELECT a.id, a.origin, i.external_id, i.status, i.disputed_at IS NOT NULL, i.in_plan, i.balance,
           cu.no_dunning OR cu.legal_hold OR cu.bankrupt,
           EXISTS (SELECT 1 FROM billing_promise p
                    WHERE p.customer_id = i.customer_id AND p.brand_id = i.brand_id AND p.status = 'open'),
           (SELECT COUNT(*) FROM billing_paymentattempt o
             WHERE o.invoice_id = i.id AND o.status IN ('in_flight', 'unknown'))
      FROM billing_paymentattempt a
      JOIN billing_invoice i ON i.id = a.invoice_id
      JOIN customers_customer cu ON cu.id = i.customer_id
     WHERE a.idempotency_key = %s
"""
_MESSAGE = """
    SELECT m.id, m.purpose, m.step_run_id, k.state, cu.do_not_contact,
           cu.no_dunning OR cu.legal_hold OR cu.bankrupt OR cu.vulnerable,
           EXISTS (SELECT 1 FROM billing_promise p
                    WHERE p.customer_id = m.customer_id AND p.brand_id = m.brand_id AND p.status = 'open'
                      AND p.expires_at > m.claimed_at),
           EXISTS (SELECT 1 FROM campaigns_caseinvoice ci JOIN billing_invoice i ON i.id = ci.invoice_id
                    WHERE ci.case_id = m.case_id AND ci.left_at IS NULL AND i.status = 'open' AND i.balance > 0
                      AND i.disputed_at IS NULL AND NOT i.in_plan)
      FROM campaigns_message m
      JOIN campaigns_case k ON k.id = m.case_id
      JOIN customers_customer cu ON cu.id = m.customer_id
     WHERE m.key = %s
"""
_OPEN_TRANSACTIONS = """
    SELECT COUNT(*) FROM pg_stat_activity
     WHERE datname = current_database() AND state IN ('idle in transaction', 'idle in transaction (aborted)')
"""


class Witness:
    """Notes in `wrong` what must never be seen; `charges` and `mails` count by attempt and by message."""

    def __init__(self, server: SandboxServer, sink: Sink) -> None:
        known = connection.get_connection_params()
        names = ("host", "port", "dbname", "user", "password")
        self._db = psycopg.connect(**{n: known[n] for n in names if known.get(n)}, autocommit=True)
        self._lock = threading.Lock()
        self._world = server.world
        self.forget()
        self._emit, server.world.emit = server.world.emit, self._emitted
        writer = sink.handler.writer
        self._store, writer.store = writer.store, self._stored

    def forget(self) -> None:
        """Begins anew."""
        self.wrong: list[str] = []
        self.charges: Counter[int] = Counter()
        self.mails: Counter[str] = Counter()

    def close(self) -> None:
        """Closes the connection."""
        self._db.close()

    def _one(self, query, *values):
        with self._lock:
            return self._db.execute(query, values).fetchone()

    def _emitted(self, kind, obj, before=None):
        self._emit(kind, obj, before)
        key = self._world.request["idempotency_key"]
        if obj["object"] == "charge" and before is None and key:
            try:
                self._charge(key)
            except Exception as error:  # a witness that fails must not look like a quiet one
                self.wrong.append(f"the witness failed: {error!r}")

    def _stored(self, content, **fields):
        try:
            self._mail(message_from_bytes(content)[_HEADER])
        except Exception as error:
            self.wrong.append(f"the witness failed: {error!r}")
        return self._store(content, **fields)

    def _see(self, **wrong):
        self._no_transaction()
        what = {name: value for name, value in wrong.items() if value}
        if len(what) > 1:
            self.wrong.append(str(what))

    def _no_transaction(self):
        if self._one(_OPEN_TRANSACTIONS)[0]:
            self.wrong.append("a transaction was open while somebody outside was asked")

    def _charge(self, key):
        row = self._one(_ATTEMPT, key)
        if row is None:
            self.wrong.append(f"charged under the key {key}, which no attempt holds")
            return
        attempt, origin, invoice, status, disputed, in_plan, balance, excluded, promised, under_way = row
        self.charges[attempt] += 1
        automatic = origin == "retry"
        self._see(
            charge_of=invoice,
            asked_twice=self.charges[attempt] > 1,
            status=status if status in ("paid", "void", "draft") or (automatic and status != "open") else "",
            nothing_owed=balance <= 0,
            disputed=disputed,
            in_plan=in_plan,
            excluded=automatic and excluded,
            promised=automatic and promised,
            in_flight=under_way if under_way != 1 else 0,
        )

    def _mail(self, key):
        row = self._one(_MESSAGE, key)
        if row is None:
            self.wrong.append(f"mail of {key}, which is no message of ours")
            return
        message, purpose, run, state, no_contact, excluded, promised, owed = row
        dunning = purpose != "receipt"
        self.mails[key] += 1
        if run is not None:
            self.mails[f"run:{run}"] += 1
        self._see(
            mail=message,
            sent_twice=self.mails[key] > 1 or (run is not None and self.mails[f"run:{run}"] > 1),
            state=state if dunning and state != "open" else "",
            do_not_contact=no_contact,
            excluded=dunning and excluded,
            promised=dunning and promised,
            nothing_to_ask_for=dunning and not owed,
        )
