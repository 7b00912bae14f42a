# SPDX-License-Identifier: Apache-2.0
"""One run as one page: what failed and why, and all that was observed, in virtual time."""
