# SPDX-License-Identifier: Apache-2.0
"""Views: what a person or a script is shown of the platform's messages, in one wording for all.

If the command line and the pages each put messages into words, the same job would be "done" here and
"SUCCEEDED" there, and scripts would depend on whichever they read.
"""

from enchanted.views.messages import (
    check_view,
    event_view,
    job_view,
    moment_view,
    place_text,
    project_view,
    short_commit,
    suite_text,
    ticket_view,
    time_text,
)
from enchanted.views.values import (
    ChangeView,
    CheckView,
    DecisionView,
    EditView,
    EventView,
    JobView,
    LeftOutView,
    MomentView,
    ProjectView,
    SignalView,
    SuiteView,
    TicketView,
)

__all__ = [
    "ChangeView",
    "CheckView",
    "DecisionView",
    "EditView",
    "EventView",
    "JobView",
    "LeftOutView",
    "MomentView",
    "ProjectView",
    "SignalView",
    "SuiteView",
    "TicketView",
    "check_view",
    "event_view",
    "job_view",
    "moment_view",
    "place_text",
    "project_view",
    "short_commit",
    "suite_text",
    "ticket_view",
    "time_text",
]
