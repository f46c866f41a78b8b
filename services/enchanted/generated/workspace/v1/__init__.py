# SPDX-License-Identifier: Apache-2.0
"""Generated from `proto/enchanted/workspace/v1`."""
