# SPDX-License-Identifier: Apache-2.0
"""History: the flight recorder. One log a project, in the order of commits, sealed into a signed tree.

Rooms above append events in the transaction of their effects and read them back by place, time, job or
ticket; the sealer turns each log into an RFC 6962 tree with signed checkpoints; verification recomputes it
from what is stored and names the first thing that was changed.
"""

from enchanted.history.checkpoints import CheckpointSigner
from enchanted.history.model import ERRORS, FILE_SYSTEM, TIMELINE, HistoryError, Place
from enchanted.history.records import TIP, append, events_after, place_at, place_of_event, read_tip
from enchanted.history.sealer import Sealer

__all__ = [
    "ERRORS",
    "FILE_SYSTEM",
    "TIMELINE",
    "TIP",
    "CheckpointSigner",
    "HistoryError",
    "Place",
    "Sealer",
    "append",
    "events_after",
    "place_at",
    "place_of_event",
    "read_tip",
]
