# SPDX-License-Identifier: Apache-2.0
"""Kernel log records: from /dev/kmsg, a console or netconsole, to whole lines with owners."""
