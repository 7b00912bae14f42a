# SPDX-License-Identifier: Apache-2.0
"""Which variants of a test there are: Cartesian configuration, counting, covering."""
