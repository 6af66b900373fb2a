"""Owns sending e-mail through Django's backend in use: plain SMTP, or any provider Anymail speaks to."""

from email.headerregistry import Address
from email.utils import format_datetime
from typing import Any, Self

from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMultiAlternatives, get_connection

from campaigns.channels.base import ChannelError, Fate, Outgoing, SendResult
from campaigns.channels.email_errors import classify, classify_connecting
from campaigns.reply_tokens import reply_address, token


class EmailChannel:
    """E-mail over one connection per batch."""

    def __init__(self) -> None:
        self._connection: Any = None

    @staticmethod
    def missing() -> str:
        """See campaigns.channels.base.Channel."""
        try:
            backend = get_connection()
        except ImproperlyConfigured as error:  # Anymail says which of its settings it wants
            return str(error)
        return "EMAIL_URL" if getattr(backend, "host", None) == "" else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._close()

    def send(self, outgoing: Outgoing) -> SendResult:
        """Hands one mail to the backend; see campaigns.channels.base.Channel."""
        connection = self._open()
        try:
            mail = compose(outgoing)
            mail.connection = connection
        except Exception as error:
            raise ChannelError(
                f"{type(error).__name__}: {error}", fate=Fate.PERMANENT, code="email_unwritable"
            ) from error
        try:
            accepted = connection.send_messages([mail])
        except Exception as error:  # every class is looked up in one closed table
            failure = classify(error)
            if failure.fate in (Fate.AMBIGUOUS, Fate.OUTAGE) or failure.code in ("email_connection_lost", "smtp_421"):
                self._close()
            raise failure from error
        if not accepted:
            raise ChannelError("The backend sent nothing.", fate=Fate.TEMPORARY, code="email_not_accepted")
        status = getattr(mail, "anymail_status", None)
        given = status.message_id if status is not None and isinstance(status.message_id, str) else ""
        return SendResult(provider_id=given or str(mail.extra_headers["Message-ID"]))

    def _open(self) -> Any:
        if self._connection is None:
            connection = get_connection()
            try:
                connection.open()
            except Exception as error:
                raise classify_connecting(error) from error
            self._connection = connection
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except Exception:  # the mails were sent or not before this; a failed goodbye changes nothing
                return


def message_id(outgoing: Outgoing) -> str:
    """The same Message-ID on every try of a message: mailboxes drop the second copy of a repetition. It holds our
    sign, by which an answer finds its message."""
    domain = outgoing.from_email.rpartition("@")[2].encode("idna").decode() or "localhost"
    return f"<{token(outgoing.message_id, outgoing.key)}@{domain}>"


def compose(outgoing: Outgoing) -> EmailMultiAlternatives:
    """The MIME message: plain text first, HTML beside it."""
    headers = {
        "Message-ID": message_id(outgoing),
        "Date": format_datetime(outgoing.at),
        # Keeps holiday replies from answering a machine (RFC 3834).
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "X-Sollecito-Message": outgoing.key,
        "Content-Language": outgoing.language,
    }
    if outgoing.unsubscribe_url:
        headers["List-Unsubscribe"] = f"<{outgoing.unsubscribe_url}>"
        # RFC 8058: mail programs then show a button of their own. Over plain http they would not, and must not, post.
        if outgoing.unsubscribe_url.startswith("https://"):
            headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    # Answers come back to us where incoming mail is set up, else to the brand's own mailbox.
    reply_to = reply_address(outgoing.message_id, outgoing.key) or outgoing.reply_to
    mail = EmailMultiAlternatives(
        subject=outgoing.subject,
        body=outgoing.text,
        from_email=_named(outgoing.from_name, outgoing.from_email),
        to=[_named(outgoing.recipient_name, outgoing.recipient)],
        reply_to=[reply_to] if reply_to else None,
        headers=headers,
    )
    if outgoing.html:
        mail.attach_alternative(outgoing.html, "text/html")
    # Read by Anymail where the provider supports them, by nobody otherwise.
    mail.tags = list(outgoing.tags)  # type: ignore[attr-defined]
    mail.metadata = {"message_key": outgoing.key, **outgoing.metadata}  # type: ignore[attr-defined]
    return mail


def _named(name: str, address: str) -> str:
    clean = " ".join(name.split())
    return str(Address(display_name=clean, addr_spec=address)) if clean else address
