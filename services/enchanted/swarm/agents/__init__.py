# SPDX-License-Identifier: Apache-2.0
"""The agents of a job: what runs in its process, locally a child of the hub, on a cluster a pod.

An agent claims a ticket of its role, does it, and reports what it decided and why. It holds a token for its
one job and nothing else: no database, no provider's key. It may be killed at any moment; its ticket's lease
ends and another agent begins that ticket anew.
"""
