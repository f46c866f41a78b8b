# SPDX-License-Identifier: Apache-2.0
"""What an agents' process is told when it starts: one line of JSON on its standard input.

Not in arguments or the environment, where other programs of the machine could read the token. Standard input
stays open after the line; its end means that whoever started the process is gone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields


class OrderError(Exception):
    """The line on standard input is not an order."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which job to do, and where.

    Attributes:
        hub: Address of the hub's gRPC services.
        suite_seconds: Most that one run of the repository's tests may take.
        job_id: The job.
        project_id: Its project.
        token: For this one job.
    """

    hub: str
    suite_seconds: int
    job_id: str
    project_id: str
    token: str


def parse_order(line: bytes) -> Order:
    """Read an order.

    Raises:
        OrderError: If the line is not a JSON object of exactly these texts.
    """
    try:
        found = json.loads(line)
    except ValueError as error:
        raise OrderError(
            "standard input must begin with one line of JSON: this program is started by the hub"
        ) from error
    names = {field.name for field in fields(Order)}
    if not isinstance(found, dict) or set(found) != names:
        raise OrderError("an order has exactly the fields " + ", ".join(sorted(names)))
    seconds = found["suite_seconds"]
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 1:
        raise OrderError("the field suite_seconds of an order is a whole number from 1")
    if not all(isinstance(value, str) and value for name, value in found.items() if name != "suite_seconds"):
        raise OrderError("every other field of an order is a text")
    return Order(**found)
