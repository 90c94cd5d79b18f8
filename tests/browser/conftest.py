"""The fixtures of `looking`, for every file here."""

from tests.browser.looking import browser, visited

__all__ = ["browser", "visited"]
