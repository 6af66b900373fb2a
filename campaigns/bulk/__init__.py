"""Acts on many cases, messages, promises, ladders and agencies; registered when the app is loaded."""

from campaigns.bulk import agencies, cases, ladders, messages, promises

__all__ = ["agencies", "cases", "ladders", "messages", "promises"]
