"""Owns the SMTP sink: a real mail server on loopback that delivers to nobody and stores what it is given.

`python -m dunning_site.embedded.smtp_sink --port 0 --port-file P --dir D` runs it as a process; `Sink` in a thread
for tests. A recipient's local part says how it is treated, so that every way a delivery can end can be played:

- `bounce@…`, `bounce-anna@…`   550 5.1.1, no such mailbox
- `full@…`                      552 5.2.2, refused for good though the mailbox exists
- `spam@…`                      the mail is refused after DATA, 554 5.7.1
- `greylist@…`                  451, on every try
- `drop@…`                      taken and stored, but the connection breaks before the answer
- `gone@…`                      the connection breaks at RCPT, before the mail
"""

import argparse
import asyncio
import logging
import re
import signal
import tempfile
import threading
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from dunning_site.embedded.twilio_sink import TwilioSink
from dunning_site.mail_store import MailReader, MailWriter, StoredMail

# The library tells of every command at INFO, which costs more than the mail itself.
logging.getLogger("mail.log").setLevel(logging.WARNING)

_LOCAL_PART = re.compile(r"^([a-z]+)(?:[-+.][^@]*)?@")
_AT_RCPT = {
    "bounce": "550 5.1.1 No such mailbox",
    "full": "552 5.2.2 Mailbox full",
    "greylist": "451 4.7.1 Try again later",
}
_MOST_BYTES = 32 * 1024 * 1024


def _manner(recipient: str) -> str:
    match = _LOCAL_PART.match(recipient.lower())
    return match[1] if match else ""


def _break(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()


class Handler:
    """What the server does at each command."""

    def __init__(self, writer: MailWriter) -> None:
        self.writer = writer
        #: Replies by recipient or `@domain`, set by tests: ("550 5.7.1 Not you").
        self.refuse: dict[str, str] = {}

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        """Takes or refuses one recipient."""
        manner = _manner(address)
        if manner == "gone":
            _break(server)
            return "421 Gone"
        domain = "@" + address.rpartition("@")[2].lower()
        reply = _AT_RCPT.get(manner) or self.refuse.get(address.lower()) or self.refuse.get(domain)
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Stores the mail."""
        manners = {_manner(recipient) for recipient in envelope.rcpt_tos}
        if "spam" in manners:
            return "554 5.7.1 Looks like spam"
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        subject, date = _headers(content)
        mail = self.writer.store(
            content,
            sender=envelope.mail_from or "",
            recipients=list(envelope.rcpt_tos),
            subject=subject,
            date=date,
            at=datetime.now(UTC),
        )
        if "drop" in manners:
            _break(server)
        return f"250 OK stored as {mail.number}"


def _headers(content: bytes) -> tuple[str, str]:
    # Only the head is parsed: bodies are large and nobody asks for them here.
    head = content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    message = message_from_bytes(head, policy=policy.default)
    return str(message["Subject"] or ""), str(message["Date"] or "")


class Server(SMTP):
    """The library's server, taking a mail in whole instead of line by line: five times as many a second."""

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """Reads one mail and answers for it."""
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = bytearray(b"\r\n")
        while not content.endswith(b"\r\n.\r\n"):
            chunk = await self._reader.read(1 << 20)
            if not chunk:
                return
            content += chunk
            if len(content) > _MOST_BYTES:
                await self.push("552 Error: Too much mail data")
                _break(self)
                return
        # A line that began with a dot was sent with two (RFC 5321, 4.5.2).
        self.envelope.content = bytes(content).replace(b"\r\n..", b"\r\n.")[2:-3]
        reply = await self._call_handler_hook("DATA")
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(reply)


class Sink:
    """The server in a thread of this process. `port` is known once started."""

    def __init__(self, folder: Path | None = None, *, port: int = 0) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="sollecito-mail-"))
        self.handler = Handler(MailWriter(self.folder))
        self.reader = MailReader(self.folder)
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="smtp-sink", daemon=True)
        self._ready = threading.Event()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.BaseTransport] = set()

    def start(self) -> "Sink":
        """Listens on 127.0.0.1; returns once it does."""
        self._thread.start()
        self._ready.wait(10)
        if self._server is None:
            raise RuntimeError("The SMTP sink did not start.")
        return self

    def stop(self) -> None:
        """Closes every connection and the index."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self.handler.writer.close()

    def mails(self) -> list[StoredMail]:
        """What has arrived, oldest first."""
        return self.reader.mails()

    def _protocol(self) -> SMTP:
        sink = self

        class Tracked(Server):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                sink._connections.add(transport)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                if self.transport is not None:
                    sink._connections.discard(self.transport)
                super().connection_lost(error)

        return Tracked(self.handler, enable_SMTPUTF8=True, hostname="sink.localhost", loop=self._loop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._server = self._loop.run_until_complete(
                self._loop.create_server(self._protocol, "127.0.0.1", self.port)
            )
            self.port = self._server.sockets[0].getsockname()[1]
            self._ready.set()
            self._loop.run_forever()
            self._server.close()
            for transport in list(self._connections):
                transport.close()
            pending = asyncio.all_tasks(self._loop)
            for task in pending:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            self._loop.run_until_complete(self._server.wait_closed())
        finally:
            self._ready.set()
            self._loop.close()


def main() -> None:
    """Runs the sink until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--port-file", type=Path, help="the port is written here once it listens")
    parser.add_argument("--twilio-port", type=int, help="take text messages too, as Twilio would")
    parser.add_argument("--dir", type=Path, required=True, help="where mail is stored")
    options = parser.parse_args()
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    sink = Sink(options.dir, port=options.port).start()
    texts = None
    if options.twilio_port is not None:
        texts = TwilioSink(sink.handler.writer, port=options.twilio_port).start()
    if options.port_file:
        partial = options.port_file.with_suffix(".partial")
        partial.write_text(str(sink.port))
        partial.rename(options.port_file)
    print(f"SMTP sink on 127.0.0.1:{sink.port}, mail in {options.dir}", flush=True)
    done.wait()
    if texts is not None:
        texts.stop()
    sink.stop()


if __name__ == "__main__":
    main()
