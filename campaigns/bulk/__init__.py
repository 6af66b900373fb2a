"""Acts on many cases and on their customers' messages, ladders and agencies; registered when the app is loaded."""

from campaigns.bulk import agencies, cases, ladders, messages

__all__ = ["agencies", "cases", "ladders", "messages"]
