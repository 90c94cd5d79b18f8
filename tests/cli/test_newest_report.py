"""`bench open`: the newest page is found and printed, and a browser told where there is one."""

import os
import webbrowser

import pytest


@pytest.fixture
def page(tmp_path):
    """Put a page with what lies beside it; the older the larger `age`."""

    def put(path, beside, age):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("<html>")
        if beside:
            place.with_name(beside).write_text("{}")
        os.utime(place, (1e9 - age, 1e9 - age))
        return place

    return put


@pytest.fixture
def told(monkeypatch):
    """The addresses that a browser was told; there is none yet."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    found = []
    monkeypatch.setattr(webbrowser, "open", lambda url: not found.append(url))
    return found


@pytest.fixture
def pages(page):
    return [
        page("reports/a/report.html", "run.json", 3),
        page("reports/ab/01-a/report.html", "run.json", 2),
        page("reports/ab/comparison.html", "comparison.json", 1),
        page("reports/venv/bench/report/capacity.html", "", 0),  # a template
    ]


def test_the_newest_page_that_is_a_report_is_printed(bench, pages, told, tmp_path):
    code, out, err = bench("open", tmp_path / "reports")
    assert (code, out.strip()) == (0, str(pages[2]))
    assert err.strip() == "no browser was found here; open that file in one"
    assert not told


@pytest.mark.usefixtures("told")
def test_a_folder_says_which(bench, pages, tmp_path):
    assert bench("open", tmp_path / "reports" / "a")[1].strip() == str(pages[0])
    assert bench("open", tmp_path / "reports" / "ab" / "01-a")[1].strip() == str(pages[1])


@pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"])
def test_a_browser_is_told_where_there_is_one(bench, pages, told, monkeypatch, tmp_path, variable):
    monkeypatch.setenv(variable, "x")
    code, _, err = bench("open", tmp_path / "reports")
    assert (code, err, told) == (0, "", [pages[2].as_uri()])
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    assert "no browser was found" in bench("open", tmp_path / "reports")[2]


@pytest.mark.usefixtures("told", "pages")
def test_a_capacity_is_a_report_too(bench, page, tmp_path):
    newest = page("reports/search/capacity.html", "capacity.json", 0)
    assert bench("open", tmp_path / "reports")[1].strip() == str(newest)


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_where_there_is_no_report_one_line_says_so(bench, tmp_path, folder):
    code, out, err = bench("open", tmp_path / folder)
    assert (code, out) == (2, "")
    (line,) = err.strip().splitlines()
    assert line.startswith(f"bench: {tmp_path / folder}: holds no report; `bench run demo` makes")
