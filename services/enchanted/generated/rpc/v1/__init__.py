# SPDX-License-Identifier: Apache-2.0
"""Generated from `proto/enchanted/rpc/v1`."""
