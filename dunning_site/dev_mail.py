"""Owns /dev/mail/: shows in the browser what the SMTP sink took in. Routed only while settings.EMBEDDED is on."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import lru_cache
from pathlib import Path
from typing import cast

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.clickjacking import xframe_options_sameorigin

from dunning_site.mail_store import MailReader, StoredMail

PER_PAGE = 50


@lru_cache(maxsize=4)
def _reader(folder: Path) -> MailReader:
    return MailReader(folder)


def reader() -> MailReader:
    """The folder the sink writes to; its index is kept in memory and read on from where it ended."""
    return _reader(Path(settings.DEV_MAIL_DIR))


def mail_list(request: HttpRequest) -> HttpResponse:
    """Newest first, by page; `q` searches recipients and subjects."""
    wanted = request.GET.get("q", "").strip().lower()
    mails = reader().mails()
    found = [
        mail
        for mail in reversed(mails)
        if not wanted or wanted in mail.subject.lower() or any(wanted in to.lower() for to in mail.recipients)
    ]
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "dev_mail/list.html", {"page": page, "q": wanted, "total": len(mails)})


def mail_page(request: HttpRequest, number: int) -> HttpResponse:
    """One mail with its parts, headers and source."""
    mail, message = _mail(number)
    text = message.get_body(("plain",))
    return render(
        request,
        "dev_mail/mail.html",
        {
            "mail": mail,
            "headers": [(name, str(value)) for name, value in message.items()],
            "has_html": message.get_body(("html",)) is not None,
            "text": cast("EmailMessage", text).get_content() if text is not None else "",
            "source": reader().content(mail).decode("utf-8", "replace"),
        },
    )


@xframe_options_sameorigin
def mail_html(request: HttpRequest, number: int) -> HttpResponse:
    """The HTML part alone, for the frame of `mail_page`: no scripts, nothing fetched but images."""
    _mail_row, message = _mail(number)
    part = message.get_body(("html",))
    if part is None:
        raise Http404("This mail has no HTML part.")
    # Links open beside the mail, not inside its frame.
    html = cast("EmailMessage", part).get_content().replace("<head>", '<head><base target="_blank">', 1)
    response = HttpResponse(html)
    response["Content-Security-Policy"] = (
        "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation; "
        "default-src 'none'; style-src 'unsafe-inline'; img-src * data:"
    )
    return response


def _mail(number: int) -> tuple[StoredMail, EmailMessage]:
    mails = reader().mails()
    if not 0 < number <= len(mails):
        raise Http404("There is no such mail.")
    mail = mails[number - 1]
    return mail, message_from_bytes(reader().content(mail), policy=policy.default)


app_name = "dev_mail"
urlpatterns = [
    path("", mail_list, name="list"),
    path("<int:number>/", mail_page, name="mail"),
    path("<int:number>/html/", mail_html, name="html"),
]
