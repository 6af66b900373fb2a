"""What comes back: replies, automatic answers, bounce reports and opt-outs, over e-mail, SMS and WhatsApp.

Front door: `receive.inbound_record(told=…, now=…)`. `email.py` and `twilio.py` turn what providers post into its
`Incoming`; `classify.py` tells people from machines; `match.py` finds whose it is.
"""
