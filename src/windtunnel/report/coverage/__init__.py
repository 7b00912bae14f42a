# SPDX-License-Identifier: Apache-2.0
"""Which lines of the kernel ran: read from runs, added up, written for people and programs."""
