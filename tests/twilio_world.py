"""A Twilio for tests: a local HTTP server that speaks the Messages resource as documented, for the real client.

Numbers decide what becomes of a message (`FATES`); what was taken is in `messages`. `callback` makes the form fields
and the signature Twilio would post.
"""

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from twilio.request_validator import RequestValidator

SID = "AC" + "1" * 32
TOKEN = "auth-token-for-tests"

#: Number → HTTP status, Twilio's code, its words. As in Twilio's error dictionary.
FATES = {
    "+393331110001": (400, 21211, "The 'To' number +393331110001 is not a valid phone number."),
    "+393331110002": (400, 21610, "Attempt to send to unsubscribed recipient"),
    "+393331110003": (429, 20429, "Too Many Requests"),
    "+393331110004": (401, 20003, "Authenticate"),
    "+393331110005": (500, 20500, "An internal server error has occurred"),
    "+393331110006": (400, 21608, "The number is unverified."),
    "+393331110007": (503, 20503, "Service unavailable"),
}
#: Taken, and then no answer: the client gives up.
SILENT = "+393331110008"
#: Taken, and the connection breaks before the answer.
BREAKS = "+393331110009"


@dataclass
class TwilioWorld:
    """The server's address and what it was given."""

    url: str
    messages: list[dict[str, str]] = field(default_factory=list)
    #: Requests refused for wrong credentials or an address no Twilio has.
    strangers: int = 0

    def callback(self, url: str, fields: dict[str, str], *, token: str = TOKEN) -> dict[str, Any]:
        """Arguments of django.test.Client.post for a callback to the public address `url`."""
        signature = RequestValidator(token).compute_signature(url, fields)
        return {"data": fields, "headers": {"X-Twilio-Signature": signature}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: TwilioWorld

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        fields = {key: values[-1] for key, values in parse_qs(self.rfile.read(length).decode()).items()}
        if self.path != f"/2010-04-01/Accounts/{SID}/Messages.json":
            self.world.strangers += 1
            return self._answer(404, {"code": 20404, "message": "Not found", "status": 404})
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode():
            self.world.strangers += 1
            return self._answer(401, {"code": 20003, "message": "Authenticate", "status": 401})
        number = fields.get("To", "").removeprefix("whatsapp:")
        if number in FATES:
            status, code, words = FATES[number]
            more = f"https://www.twilio.com/docs/errors/{code}"
            return self._answer(status, {"code": code, "message": words, "more_info": more, "status": status})
        fields["sid"] = f"SM{len(self.world.messages):032d}"
        self.world.messages.append(fields)
        if number == BREAKS:
            self.close_connection = True
            return None
        if number == SILENT:
            time.sleep(1.2)  # longer than the client's patience in these tests
        return self._answer(
            201,
            {
                "account_sid": SID,
                "api_version": "2010-04-01",
                "body": fields.get("Body", ""),
                "date_created": "Tue, 10 Mar 2026 12:00:00 +0000",
                "date_sent": None,
                "date_updated": "Tue, 10 Mar 2026 12:00:00 +0000",
                "direction": "outbound-api",
                "error_code": None,
                "error_message": None,
                "from": fields.get("From"),
                "messaging_service_sid": fields.get("MessagingServiceSid"),
                "num_media": "0",
                "num_segments": "0" if "MessagingServiceSid" in fields else "1",
                "price": None,
                "price_unit": "USD",
                "sid": fields["sid"],
                "status": "queued",
                "subresource_uris": {},
                "to": fields["To"],
                "uri": f"/2010-04-01/Accounts/{SID}/Messages/{fields['sid']}.json",
            },
        )

    def _answer(self, status: int, body: dict[str, Any]) -> None:
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
        return


class TwilioServer:
    """Context manager: the server in a thread, on loopback."""

    def __enter__(self) -> TwilioWorld:
        handler = type("Handler", (_Handler,), {})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        world = TwilioWorld(f"http://127.0.0.1:{self._server.server_port}")
        handler.world = world
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return world

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
