# SPDX-License-Identifier: Apache-2.0
"""Virtual time: agenda, clock, seeded random streams."""
