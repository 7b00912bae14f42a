# SPDX-License-Identifier: Apache-2.0
"""Real Linux systems under controlled, repeatable conditions: the public API by name."""
