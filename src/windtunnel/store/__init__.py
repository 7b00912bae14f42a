# SPDX-License-Identifier: Apache-2.0
"""What a run leaves: its folder, and comparing two of them."""
