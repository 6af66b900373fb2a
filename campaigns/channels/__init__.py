"""Ways a message leaves the house: one small class each, named in settings.CHANNELS.

Front door: `base.channel(name)`. To add a channel write a class with the methods of `base.Channel`, name it in
settings.CHANNELS, and give it hours in campaigns/guard/policies.
"""
