# SPDX-License-Identifier: Apache-2.0
"""The faces: the command line. No logic of its own."""
