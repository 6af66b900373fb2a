"""Owns Twilio's Messages resource on loopback, and the sink behind it: delivering to nobody, keeping each text.

It runs beside the SMTP sink and writes to the same folder, so that all a customer received stands in one list. A text
is kept like a mail; `X-Status-Callback` and `X-Message-Sid` are what a phone network would report back with. Tests put
a Twilio that refuses and falls silent behind the same resource (tests/twilio_world.py).
"""

import base64
import json
import threading
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

from dunning_site.mail_store import MailWriter

#: Right in form, worth nothing anywhere else.
ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "sollecito-texts"  # noqa: S105
SMS_FROM = "+15005550006"
#: A call that is not Twilio's: `now` (ISO 8601) is the moment texts are dated from here on; empty: the machine's.
CLOCK = "/_sink/clock"
_MOST_BYTES = 64 * 1024

#: A status and its JSON; None: the connection breaks before an answer.
Answer = tuple[int, dict[str, Any]] | None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one write: with Nagle's algorithm the second would wait 40 ms for the client.
    disable_nagle_algorithm = True
    wbufsize = 65_536
    resource: "MessagesResource"

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length", 0)), _MOST_BYTES)
        fields = {key: values[-1] for key, values in parse_qs(self.rfile.read(length).decode()).items()}
        answer = self.resource.answer(self.path, self.headers.get("Authorization", ""), fields)
        if answer is None:
            self.close_connection = True
            return
        status, body = answer
        content = json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:  # the client has gone
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """One line a text would say nothing the folder does not."""


class MessagesResource(ABC):
    """An account's Messages resource as documented, in a thread of this process; subclasses say what becomes of a
    message."""

    account_sid = ACCOUNT_SID
    auth_token = AUTH_TOKEN

    def __init__(self, *, port: int = 0) -> None:
        handler = type("Handler", (_Handler,), {"resource": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @abstractmethod
    def take(self, fields: dict[str, str]) -> Answer:
        """What Twilio answers to a message by one who may send."""

    def elsewhere(self, path: str, fields: dict[str, str]) -> Answer:
        """A post to any other address."""
        return refusal(404, 20404, "Not found")

    def answer(self, path: str, authorization: str, fields: dict[str, str]) -> Answer:
        """Whatever is posted; strangers are turned away."""
        if path != f"/2010-04-01/Accounts/{self.account_sid}/Messages.json":
            return self.elsewhere(path, fields)
        wanted = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        if authorization != f"Basic {wanted}":
            return refusal(401, 20003, "Authenticate")
        return self.take(fields)

    @property
    def url(self) -> str:
        """What TWILIO_API_BASE is to be."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> Self:
        """Begins to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Closes the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def created(self, fields: dict[str, str], sid: str, date: str) -> Answer:
        """A message taken at `date` (RFC 2822)."""
        return 201, {
            "account_sid": self.account_sid, "api_version": "2010-04-01", "body": fields.get("Body", ""),
            "date_created": date, "date_sent": None, "date_updated": date, "direction": "outbound-api",
            "error_code": None, "error_message": None, "from": fields.get("From"), "num_media": "0",
            # A messaging service has not chosen a number yet, and so not counted.
            "num_segments": "0" if "MessagingServiceSid" in fields else "1",
            "messaging_service_sid": fields.get("MessagingServiceSid"), "price": None, "price_unit": "USD",
            "sid": sid, "status": "queued", "subresource_uris": {}, "to": fields["To"],
            "uri": f"/2010-04-01/Accounts/{self.account_sid}/Messages/{sid}.json",
        }  # fmt: skip


def refusal(status: int, code: int, words: str) -> Answer:
    """An error as Twilio writes it; codes are those of its error dictionary."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return status, {"code": code, "message": words, "more_info": more, "status": status}


class TwilioSink(MessagesResource):
    """Takes every text and keeps it."""

    def __init__(self, writer: MailWriter, *, port: int = 0) -> None:
        super().__init__(port=port)
        #: What the clock shows (aware UTC); None: the machine's time.
        self.now: datetime | None = None
        self._writer = writer
        self._lock = threading.Lock()

    def elsewhere(self, path: str, fields: dict[str, str]) -> Answer:
        """Sets the clock."""
        if path != CLOCK:
            return super().elsewhere(path, fields)
        self.now = datetime.fromisoformat(fields["now"]) if fields.get("now") else None
        return 200, {}

    def take(self, fields: dict[str, str]) -> Answer:
        """Keeps a text."""
        if not fields.get("To") or not fields.get("Body"):
            return refusal(400, 21604, "A 'To' and a 'Body' are required.")
        return self.created(fields, *self._keep(fields))

    def _keep(self, fields: dict[str, str]) -> tuple[str, str]:
        """Stores one text; returns its sid and its moment as Twilio writes it."""
        now = self.now or datetime.now(UTC)
        with self._lock:
            sid = f"SM{len(self._writer):032x}"
            text = EmailMessage()
            text["From"] = sender = fields.get("From") or fields.get("MessagingServiceSid") or SMS_FROM
            text["To"] = fields["To"]
            text["Subject"] = subject = " ".join(fields["Body"].split())[:80]
            text["Date"] = date = format_datetime(now)
            text["X-Message-Sid"] = sid
            if fields.get("StatusCallback"):
                text["X-Status-Callback"] = fields["StatusCallback"]
            text.set_content(fields["Body"])
            self._writer.store(
                text.as_bytes(), sender=sender, recipients=[fields["To"]], subject=subject, date=date, at=now
            )
        return sid, date
