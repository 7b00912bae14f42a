# SPDX-License-Identifier: Apache-2.0
"""What is in the core of a kernel that panicked or hangs: read by drgn, told in plain facts."""
