# SPDX-License-Identifier: Apache-2.0
"""Kernels: find the source, build, cache, say what the machine lacks."""
