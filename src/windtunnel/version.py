# SPDX-License-Identifier: Apache-2.0
"""The version of the program and of what it records."""

VERSION = "0.1.0"
