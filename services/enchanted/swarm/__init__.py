# SPDX-License-Identifier: Apache-2.0
"""The software swarm: Scout, Coder and Critic on a checked-out tree.

What is here needs no platform: a tree goes in; surveys, context packs, edits, verdicts and records of what
was run come out. Nothing imports the rest of the product but the sandbox, so that the agents can be run,
tested and trusted apart from the hub they report to.
"""
