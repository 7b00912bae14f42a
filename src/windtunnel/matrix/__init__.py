# SPDX-License-Identifier: Apache-2.0
"""Which variants of a test there are: Cartesian configuration, counting, covering."""

from windtunnel.matrix.cells import ABSENT, ANY, Axis, Cell, CellSpace
from windtunnel.matrix.matrix import Matrix, MatrixVariant
from windtunnel.matrix.parser import LexerError, MissingIncludeError, Parser, ParserError

__all__ = [
    "ABSENT",
    "ANY",
    "Axis",
    "Cell",
    "CellSpace",
    "LexerError",
    "Matrix",
    "MatrixVariant",
    "MissingIncludeError",
    "Parser",
    "ParserError",
]
