# SPDX-License-Identifier: Apache-2.0
"""Bytes to messages and back, without any input or output."""
