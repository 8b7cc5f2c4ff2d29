# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How a command fails: one clear line on stderr, and an exit status."""

import rich_click as click

FAILED, USAGE, NO_DEVICE = 1, 2, 3


class CommandError(click.ClickException):
    """Ends the command with `status`; the message says what to do."""

    def __init__(self, message, status=FAILED):
        super().__init__(message)
        self.exit_code = status
