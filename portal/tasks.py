"""Celery tasks of the portal: each reads the time and calls one service."""

from celery import shared_task

from customers import clock
from portal import limits, links, reissue


@shared_task
def send_requested_links() -> int:
    """Mails the new links that were asked for; returns how many."""
    sent = 0
    while True:
        result = reissue.send_requested_links(now=clock.now())
        sent += result.sent
        if not result.claimed:
            return sent


@shared_task
def tidy_up() -> int:
    """Drops links that expired long ago and rate counters that are over; returns how many rows."""
    now = clock.now()
    return links.links_purge(now=now) + limits.windows_purge(now=now)
