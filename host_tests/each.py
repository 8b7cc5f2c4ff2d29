# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A test for many files at once; it names each file that fails. This is cheaper than one test for each file."""


def each(items, name=str):
    """Return a decorator that makes a test of a function of one argument; the function is called with each item."""
    items = list(items)
    assert items, "nothing to test"

    def decorate(function):
        def test():
            wrong = []
            for item in items:
                try:
                    function(item)
                except Exception as error:
                    wrong.append(f"{name(item)}: {error if isinstance(error, AssertionError) else repr(error)}")
            assert not wrong, "\n".join(wrong)

        test.__name__, test.__doc__, test.__module__ = function.__name__, function.__doc__, function.__module__
        return test

    return decorate
