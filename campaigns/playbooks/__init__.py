"""Call scripts and the call brief: what to say, and all that is known before the telephone rings.

`brief_for` is the front door; the page includes `admin/campaigns/call_brief.html` with what it returns.
"""

from campaigns.playbooks.brief import Brief, brief_for
from campaigns.playbooks.scripts import Script, playbook_problems, script_html

__all__ = ["Brief", "Script", "brief_for", "playbook_problems", "script_html"]
