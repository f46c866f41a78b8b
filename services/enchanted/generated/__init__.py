# SPDX-License-Identifier: Apache-2.0
"""Protobuf and gRPC code made from `proto/` by `make proto`: one folder a room, as there."""
