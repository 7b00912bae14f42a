# SPDX-License-Identifier: Apache-2.0
"""Results for other programs and for a browser, and the comparison of two results."""
