"""Pages in a browser: what scripts make of their data, moving and zooming, and nothing on the console."""

import pytest

from acceltran.cli.report.page import page
from acceltran.cli.report.pareto import pareto_section
from acceltran.cli.report.run_sections import run_sections
from acceltran.cli.report.timeline import timeline_section
from support.browser import Browser
from support.run_report import DETAILS, HOSTILE, REPORT

MANY = [{"group": "engines" if row < 4 else "units", "name": f"row {row}",
         "periods": [("busy", at, at + 30) for at in range(7 * row, 40_000, 40)]} for row in range(12)]
POINTS = [{"settings": {"PEs": 1, "window": "<b>2</b>"}, "cycles": 4000, "area": 10.5},
          {"settings": {"PEs": 4, "window": "4"}, "cycles": 1000, "area": 40.0}]
RANGE = "document.querySelector('.range').textContent"
TOOLTIP = "document.getElementById('tooltip').hidden ? null : document.getElementById('tooltip').innerText"


@pytest.fixture
def opened(tmp_path):
    """Write a page of sections and open it; at the end, it has loaded itself only and said nothing."""
    browsers = []

    def opened(*sections):
        path = tmp_path / "page.html"
        path.write_text(page("tiny<model> on nano", sections), encoding="utf-8")
        browsers.append(Browser(path, tmp_path / "profile"))
        return browsers[-1].__enter__()

    yield opened
    for browser in browsers:
        browser.run("1")
        browser.__exit__()
        assert browser.told == []
        assert len(browser.loaded) == 1 and browser.loaded[0].startswith("file://")


def place(browser, selector):
    """Left, top, width and height of an element that is scrolled into view."""
    browser.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
    browser.settle()
    return browser.run(f"(({{left, top, width, height}}) => [left, top, width, height])"
                       f"(document.querySelector({selector!r}).getBoundingClientRect())")


def ink(browser):
    """How many pixels of the timeline are drawn on, and how many colours they have."""
    return browser.run("""(() => {
        const canvas = document.querySelector("canvas");
        const data = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
        const drawn = data.filter((pixel) => pixel >>> 24);
        return [drawn.length, new Set(drawn).size];
    })()""")


def test_the_page_of_a_run(opened):
    browser = opened(*run_sections(REPORT, DETAILS))
    assert browser.run("document.title") == "tiny<model> on nano", "no text of the page has run as a script"
    assert HOSTILE in browser.run("document.querySelector('#answers td:nth-child(2)').textContent")
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.run(RANGE) == "cycles 0 to 1,000 of 1,000"
    assert browser.run("[...document.querySelectorAll('.legend span')].map((one) => one.textContent)") == [
        "query", "</script>", "busy"]
    assert ink(browser)[0] > 1000
    left, top, *_ = place(browser, "#cycles .bar .part")
    browser.mouse("mouseMoved", left + 5, top + 5)
    assert browser.run(TOOLTIP) == "working: 85.0 %"


def test_a_timeline_is_moved_and_zoomed_by_keys(opened):
    browser = opened(timeline_section(DETAILS["timeline"]["tracks"], cycles=1000))
    browser.run("document.querySelector('canvas').focus()")
    for key, shown in (("+", "200 to 800"), ("ArrowRight", "290 to 890"), ("ArrowRight", "380 to 980"),
                       ("ArrowRight", "400 to 1,000"), ("ArrowLeft", "310 to 910"), ("-", "110 to 1,000|0 to 1,000"),
                       ("Home", "0 to 1,000")):
        browser.press(key)
        assert browser.run(RANGE) in [f"cycles {one} of 1,000" for one in shown.split("|")], key
    for key, shown in (("ArrowDown", "</script>, matrix engine, cycles 500 to 620, 120 cycles"),
                       ("p", "layer0.query, matrix engine, cycles 100 to 400, 300 cycles"),
                       ("ArrowDown", "busy, PE 0,0, cycles 110 to 390, 280 cycles"),
                       ("ArrowUp", "layer0.query, matrix engine")):
        browser.press(key)
        assert browser.run(RANGE).startswith(f"cycles 0 to 1,000 of 1,000; {shown}"), key
    browser.press("Escape")
    assert browser.run(RANGE) == "cycles 0 to 1,000 of 1,000"


def test_a_timeline_is_moved_and_zoomed_by_mouse_and_buttons(opened):
    browser = opened(timeline_section(DETAILS["timeline"]["tracks"], cycles=1000))
    left, top, width, _ = place(browser, "canvas")
    scale, row = (width - 130) / 1000, top + 26 + 11
    browser.mouse("mouseMoved", left + 130 + 250 * scale, row)
    assert browser.run(TOOLTIP).split("\n") == ["layer0.query", "matrix engine", "cycles 100 to 400", "300 cycles"]
    browser.mouse("mouseMoved", left + 130 + 450 * scale, row)
    assert browser.run(TOOLTIP) is None, "nothing is there"
    browser.mouse("mouseMoved", left + 130 + 550 * scale, row)
    assert browser.run(TOOLTIP).startswith("</script>\n"), "a label is text"
    browser.mouse("mouseWheel", left + 130 + 250 * scale, row, deltaX=0, deltaY=-400, modifiers=2)
    assert browser.run(RANGE) == "cycles 158 to 526 of 1,000", "with Ctrl the wheel zooms, and the cycle under it stays"
    browser.mouse("mousePressed", left + 600, row, button="left", buttons=1, clickCount=1)
    browser.mouse("mouseMoved", left + 600 + (width - 130) / 4, row, button="left", buttons=1)
    browser.mouse("mouseReleased", left + 600 + (width - 130) / 4, row, button="left", clickCount=1)
    assert browser.run(RANGE) == "cycles 66 to 434 of 1,000", "dragged to the right by a quarter of the view"
    browser.run("document.querySelector('[data-do=all]').click()")
    browser.settle()
    assert browser.run(RANGE) == "cycles 0 to 1,000 of 1,000"
    browser.mouse("mousePressed", left + 130 + 250 * scale, row, button="left", buttons=1, clickCount=1)
    browser.mouse("mouseReleased", left + 130 + 250 * scale, row, button="left", clickCount=1)
    assert "; layer0.query" in browser.run(RANGE)


def test_a_timeline_of_ten_thousand_periods_is_drawn_at_once(opened):
    assert sum(len(track["periods"]) for track in MANY) > 10_000
    browser = opened(timeline_section(MANY, cycles=40_000))
    browser.run("document.querySelector('canvas').focus()")
    before = browser.run("performance.now()")
    for key in "+-" * 10:
        browser.press(key)
    assert browser.run("performance.now()") - before < 20_000, "a picture takes less than a second, even on a busy machine"
    assert ink(browser)[0] > 50_000


def test_a_timeline_follows_the_colours_of_the_reader(opened):
    browser = opened(timeline_section(DETAILS["timeline"]["tracks"], cycles=1000))
    paper = "getComputedStyle(document.body).backgroundColor"
    found = []
    for scheme in ("light", "dark"):
        browser.prefer(prefers_color_scheme=scheme)
        found.append((browser.run(paper), browser.run("document.querySelector('canvas').toDataURL()")))
    assert found[0][0] == "rgb(255, 255, 255)" and found[1][0] == "rgb(20, 23, 28)" and found[0][1] != found[1][1]


def test_a_point_is_marked_in_picture_and_table(opened):
    browser = opened(pareto_section(POINTS, [{"key": "cycles", "label": "cycles"}, {"key": "area", "label": "area, GE"}]))
    left, top, width, height = place(browser, "circle[data-point='0']")
    browser.mouse("mouseMoved", left + width / 2, top + height / 2)
    assert browser.run(TOOLTIP).split("\n") == ["front", "PEs: 1", "window: <b>2</b>", "cycles: 4,000", "area, GE: 10.5"]
    assert browser.run("[...document.querySelectorAll('.chosen')].map((one) => one.tagName)") == ["circle", "TR"]
    left, top, *_ = place(browser, "tr[data-point='1']")
    browser.mouse("mouseMoved", left + 5, top + 5)
    assert browser.run("[...document.querySelectorAll('.chosen')].map((one) => one.dataset.point)") == ["1", "1"]
