# SPDX-License-Identifier: Apache-2.0
"""Plain data: labs, events, units, and loading a lab file."""
