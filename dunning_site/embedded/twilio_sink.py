"""Owns the sink for text messages: Twilio's Messages resource on loopback, delivering to nobody, keeping each text.

It runs beside the SMTP sink and writes to the same folder, so that all a customer received stands in one list. A text
is kept like a mail; `X-Status-Callback` and `X-Message-Sid` are what a phone network would report back with.
"""

import base64
import json
import threading
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from dunning_site.mail_store import MailWriter

#: Right in form, worth nothing anywhere else.
ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "sollecito-texts"  # noqa: S105
SMS_FROM = "+15005550006"
#: A call that is not Twilio's: `now` (ISO 8601) is the moment texts are dated from here on; empty: the machine's.
CLOCK = "/_sink/clock"
_MOST_BYTES = 64 * 1024


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sink: "TwilioSink"

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length", 0)), _MOST_BYTES)
        fields = {key: values[-1] for key, values in parse_qs(self.rfile.read(length).decode()).items()}
        if self.path == CLOCK:
            self.sink.now = datetime.fromisoformat(fields["now"]) if fields.get("now") else None
            return self._answer(200, {})
        if self.path != f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json":
            return self._answer(404, {"code": 20404, "message": "Not found", "status": 404})
        wanted = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            return self._answer(401, {"code": 20003, "message": "Authenticate", "status": 401})
        if not fields.get("To") or not fields.get("Body"):
            return self._answer(400, {"code": 21604, "message": "A 'To' and a 'Body' are required.", "status": 400})
        sid, now = self.sink.keep(fields)
        return self._answer(
            201,
            {
                "account_sid": ACCOUNT_SID, "api_version": "2010-04-01", "body": fields["Body"], "date_created": now,
                "date_sent": None, "date_updated": now, "direction": "outbound-api", "error_code": None,
                "error_message": None, "from": fields.get("From"), "num_media": "0", "num_segments": "1",
                "messaging_service_sid": fields.get("MessagingServiceSid"), "price": None, "price_unit": "USD",
                "sid": sid, "status": "queued", "subresource_uris": {}, "to": fields["To"],
                "uri": f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}.json",
            },
        )  # fmt: skip

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """One line a text would say nothing the folder does not."""


class TwilioSink:
    """The server in a thread of this process."""

    def __init__(self, writer: MailWriter, *, port: int = 0) -> None:
        #: What the clock shows (aware UTC); None: the machine's time.
        self.now: datetime | None = None
        self._writer = writer
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"sink": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True)

    @property
    def url(self) -> str:
        """What TWILIO_API_BASE is to be."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> "TwilioSink":
        """Begins to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Closes the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def keep(self, fields: dict[str, str]) -> tuple[str, str]:
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
