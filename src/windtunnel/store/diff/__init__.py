# SPDX-License-Identifier: Apache-2.0
"""What differs between two runs: the first event, then checks, counters, outputs, logs."""
