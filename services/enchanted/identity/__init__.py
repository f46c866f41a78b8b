# SPDX-License-Identifier: Apache-2.0
"""Identity: who calls. This first cut signs and verifies the tokens of agents' processes.

A token is good for one tenant, one job, the scopes of agents, and a day at most, so that one that leaks out
of a process opens little and soon nothing.
"""

from enchanted.identity.model import ERRORS, LIFETIME_SECONDS_MAX, IdentityError, TokenRefusedError
from enchanted.identity.tokens import TokenSigner, TokenVerifier

__all__ = [
    "ERRORS",
    "LIFETIME_SECONDS_MAX",
    "IdentityError",
    "TokenRefusedError",
    "TokenSigner",
    "TokenVerifier",
]
