"""Pages in headless Chromium, as tests of them open them."""

import os
import re
from pathlib import Path

import pytest

CHROMIUM = Path(os.environ.get("BENCH_CHROMIUM", "/usr/bin/chromium"))
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    """Chromium, for one module: its driver keeps an event loop running, which no other may meet."""
    if not CHROMIUM.exists():
        reason = f"no Chromium at {CHROMIUM}; set BENCH_CHROMIUM"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


def _open(browser, path, viewport, scheme, *, drawn, scripts):
    """A file in a window of its own; what console and network say is kept on the page object."""
    context = browser.new_context(
        viewport=viewport, color_scheme=scheme, offline=True, java_script_enabled=scripts
    )
    page = context.new_page()
    page.said, page.asked = [], []
    page.on(
        "console",
        lambda message: (
            page.said.append(message.text) if message.type in {"error", "warning"} else None
        ),
    )
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(path.as_uri())
    if drawn:
        page.wait_for_selector("html[data-drawn=all]", timeout=30_000)
    return page


@pytest.fixture(scope="module")
def shared():
    """Pages of this module that are open, by how they were asked for: a page takes seconds."""
    return {}


@pytest.fixture
def visited(browser, shared):
    """Open a file, or look at it where it is open already; `fresh` is for whoever changes it."""
    own = []

    def visit(path, viewport=DESK, scheme="light", *, drawn=True, scripts=True, fresh=False):
        options = {"drawn": drawn, "scripts": scripts}
        if fresh:
            own.append(_open(browser, path, viewport, scheme, **options))
            return own[-1]
        key = (path, viewport["width"], scheme, drawn, scripts)
        if key not in shared:
            shared[key] = _open(browser, path, viewport, scheme, **options)
        return shared[key]

    yield visit
    for page in own:
        page.context.close()


def luminance(colour: str) -> float:
    """Of a colour as style sheets compute it, rgb(r, g, b), or write it, #rrggbb."""
    written = [int(pair, 16) for pair in re.findall(r"[0-9a-fA-F]{2}", colour)]
    computed = [int(part) for part in re.findall(r"\d+", colour)]
    parts = [part / 255 for part in (written if colour.startswith("#") else computed)[:3]]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def colours(page, selector: str) -> list[tuple[str, str]]:
    """(colour, paper) of every element that `selector` finds."""
    return page.evaluate(
        """selector => [...document.querySelectorAll(selector)].map(element => [
            getComputedStyle(element).color, getComputedStyle(document.body).backgroundColor])""",
        selector,
    )


def tables(page) -> dict[str, tuple[bool, bool, str]]:
    """Of every table in sight, by caption: are its rows cards, does it go on beyond its box, and
    does the edge behind which it goes on have a shadow (scroll) with a cover (local) at its end."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('.scroll')]
            .filter(box => box.clientWidth).map(box => {
                const cell = getComputedStyle(box.querySelector('tr:last-child td'));
                return [box.getAttribute('aria-label'), [cell.display !== 'table-cell',
                    box.scrollWidth > box.clientWidth, cell.backgroundColor === 'rgba(0, 0, 0, 0)'
                        ? getComputedStyle(box).backgroundAttachment : 'covered']]; }))"""
    )


SHADED = "local, local, scroll, scroll"
