# SPDX-License-Identifier: Apache-2.0
"""Crash reports in kernel logs: find them, name them, cut them out."""

from windtunnel.logs.report.kind import Kind
from windtunnel.logs.report.report import Report
from windtunnel.logs.report.scan import find_reports

__all__ = ["Kind", "Report", "find_reports"]
