# SPDX-License-Identifier: Apache-2.0
"""What kernels print: records, whole lines with their owners, and crash reports.

Pure: text and bytes in, data out. Nothing here raises because of what a log holds.
"""
