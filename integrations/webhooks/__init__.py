"""Telling other systems and staff what happens: signed webhooks, chat, e-mail.

Front doors: `gather.gather_events` finds what is to be told, `deliver.deliver_events` tells it until it is heard.
"""
