# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""When the keys of a group are due: an age by a monotonic clock, which a wall clock can only raise.

A monotonic clock measures an age as long as the manager runs. The wall clock alone knows for how long it did not run, and is set by
people and by NTP, by years in either direction. So its age counts where it is the greater one, and where it cannot be right: an
epoch that begins in the future is due at once. A re-key writes the time anew, so each jump of the clock costs one re-key at most.
"""

import math

SLACK_S = 60  # what NTP may correct


class RekeyTimer:
    """The age of a group's epoch."""

    def __init__(self):
        self._epoch = None
        self._began_s = 0.0  # by the monotonic clock

    def age_s(self, epoch, monotonic_s, wall_age_s):
        """Return the age of `epoch`, the present one; infinity if it is due because the clock was set back.

        `wall_age_s` is its age by the wall clock, or None if it cannot be read. Call it often: an epoch of which nothing was known
        is as old as the wall clock says, and one that began since the last call begins now.
        """
        if epoch != self._epoch:
            self._epoch, self._began_s = epoch, monotonic_s
        if wall_age_s is not None:
            if wall_age_s < -SLACK_S:
                return math.inf
            self._began_s = min(self._began_s, monotonic_s - wall_age_s)
        return monotonic_s - self._began_s
