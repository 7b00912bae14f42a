# SPDX-License-Identifier: Apache-2.0
"""`python -m windtunnel` is `windtunnel`."""

from windtunnel.ui.main import main

if __name__ == "__main__":
    main()
