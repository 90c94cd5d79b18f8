"""The pictures of the README, taken from reports of runs in virtual time.

`python -m tests.doc_pictures` takes them anew; run it after a change of how a report looks.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.looking import CHROMIUM
from tests.virtual_run import virtual_run

ROOT = Path(__file__).parents[1]


def main():
    """Write docs/report.png (the head of a report) and docs/tradeoff.png (one figure of one)."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        demo, sweep = (report_of(name, Path(folder)) for name in ("demo", "hesitation"))
        page = opened(browser, demo, {"width": 1100, "height": 1150})
        page.screenshot(path=ROOT / "docs" / "report.png")
        page = opened(browser, sweep, {"width": 1100, "height": 900})
        panel = page.locator("section", has=page.get_by_role("heading", name="Which setting"))
        panel.locator("figure").first.screenshot(path=ROOT / "docs" / "tradeoff.png")
        browser.close()


def report_of(scenario, folder):
    """The page of a run of a shipped scenario."""
    run = virtual_run(ROOT / "scenarios" / f"{scenario}.toml", folder / scenario)
    return run.folder.report


def opened(browser, report, viewport):
    page = browser.new_page(viewport=viewport, color_scheme="light")
    page.goto(report.as_uri())
    page.wait_for_function("document.querySelectorAll('.plot .main-svg').length > 0")
    return page


if __name__ == "__main__":
    main()
