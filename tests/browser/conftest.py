"""The fixtures of `looking`, for every file here."""

from tests.browser.looking import browser, shared, visited

__all__ = ["browser", "shared", "visited"]
