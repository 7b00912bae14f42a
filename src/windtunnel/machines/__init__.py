# SPDX-License-Identifier: Apache-2.0
"""Things that boot: User Mode Linux, confined, and its agent."""
