# SPDX-License-Identifier: Apache-2.0
"""Labs that others wrote: where they come from, which commit is here, which labs are in it."""
