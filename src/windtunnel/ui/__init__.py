# SPDX-License-Identifier: Apache-2.0
"""The command line. It asks the rooms below and shows what they say; it decides nothing."""
