# SPDX-License-Identifier: Apache-2.0
"""One run of one lab: plan, loop, run folder, verify."""
