"""Sections of a page from plain values: numbers appear, texts are escaped, nothing is loaded from anywhere."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from acceltran.cli.report.answers import answers_section
from acceltran.cli.report.bar import bar
from acceltran.cli.report.costs import costs_section
from acceltran.cli.report.front import front
from acceltran.cli.report.header import header_section
from acceltran.cli.report.html import Html, join, tag
from acceltran.cli.report.page import embedded, page
from acceltran.cli.report.pareto import pareto_section
from acceltran.cli.report.run_sections import run_sections
from acceltran.cli.report.scatter import scatter, ticks
from acceltran.cli.report.timeline import timeline_section
from acceltran.cli.report.zeros import zeros_section
from support.run_report import DETAILS, HOSTILE, REPORT

POINTS = [{"settings": {"PEs": 1, "<window>": "2 & more"}, "cycles": 4000, "area": 10.5},
          {"settings": {"PEs": 4, "<window>": "2"}, "cycles": 1000, "area": 40.0},
          {"settings": {"PEs": 3, "<window>": "4"}, "cycles": 4000, "area": 40.0},
          {"settings": {"PEs": 2}, "cycles": 7777, "area": None}]
MEASURES = [{"key": "cycles", "label": "cycles"}, {"key": "area", "label": "area, GE"}]


class Reader(HTMLParser):
    """Elements and texts of a page, checked to be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, name, given):
        self.elements.append((name, dict(given)))
        if name != "meta":
            self._open.append(name)

    def handle_endtag(self, name):
        assert self._open.pop() == name

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("script", "style"):
            self.texts.append(data)


def run_page():
    return page("tiny<model> on nano", run_sections(REPORT, DETAILS))


def data_of(text, name):
    """The values of a block of data, as a browser would take them: up to the first end of a script."""
    return json.loads(re.search(rf'id="data-{name}">(.*?)</script', text, re.S)[1])


def test_markup_is_escaped_as_it_is_made():
    assert tag("p", "a < b", tag("b", "&"), None, class_="x", data_tip='"', hidden=True, title=None) == \
        '<p class="x" data-tip="&quot;" hidden>a &lt; b<b>&amp;</b></p>'
    assert join("<", Html("<i>"), 3) == "&lt;<i>3" and isinstance(join("a"), Html)


def test_a_page_is_well_formed_and_texts_are_texts():
    reader = Reader(run_page())
    assert HOSTILE in reader.texts and "po<i>sitive" in reader.texts and "tiny<model>" in reader.texts
    scripts = [given for name, given in reader.elements if name == "script"]
    assert scripts == [{"type": "application/json", "id": "data-timeline"}, {}]
    assert not [name for name, _ in reader.elements if name in ("img", "link", "iframe", "object", "base", "form")]
    assert not [key for _, given in reader.elements for key in given if key.startswith("on")]


def test_a_page_loads_nothing():
    text = page("all", [*run_sections(REPORT, DETAILS), pareto_section(POINTS, MEASURES)])
    reader = Reader(text)
    addresses = [value for _, given in reader.elements for key, value in given.items() if key in ("src", "href", "action")]
    assert len(addresses) == 7 and all(re.fullmatch(r"#\w+", address) for address in addresses)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch\(|XMLHttp|import\(", re.sub(r"^\s*//.*$", "", text, flags=re.M))
    ids = {given["id"] for _, given in reader.elements if "id" in given}
    assert {address[1:] for address in addresses} <= ids


def test_the_policy_allows_the_one_script_of_the_page():
    text = run_page()
    script = re.search(r"<script>(.*)</script>", text, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(given["content"] for name, given in Reader(text).elements if given.get("http-equiv"))
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_no_value_ends_a_block_of_data():
    values = {"text": HOSTILE, "more": ["</SCRIPT>", "\u2028", 1.5, None]}
    text = embedded("x", values)
    assert text.count("<") == 2 and data_of(text, "x") == values
    assert data_of(run_page(), "timeline")["labels"][1][0] == "</script>"
    with pytest.raises(ValueError):
        embedded("x", {"value": float("nan")})


@pytest.mark.parametrize("name, shown", [
    ("summary", ["1,000", "at 250 MHz", "0.004 ms", "500", "Every integer is equal", "12 tensors", "16 x 16", "256",
                 "20 bits, 16 of them fraction", "--tau", "0.05", "0.1.0", "1 x 1 PEs", "128 bits", "zeros in both operands"]),
    ("answers", ["0.8808", "0.1192", "differs", "equal", "0.99987654", "with: ", "and <b>more</b>", "softmax and arg-max"]),
    ("cycles", ["85.0 %", "5.0 %", "10.0 %", "66.0 %", "150,000", "58.6 %", "2.3 %", "0.4 %", "37.5 %", "96,000", "16,000",
                "50.0 %", "1.0 %", "25.0 %", "782", "990", "77", "78", "21"]),
    ("timeline", ["It shows 2 sentences."]),
    ("zeros", ["7.5 %", "50.0 %", "88.9 %", "11.1 %", "head 0", "head 1", "83.3 %", "62.5 %", "75.0 %", "200,000", "170,000"]),
    ("fidelity", ["0.99987654", "0.012", "1 of 2", "5,432", "1.8 %", "2.0 %", "9.25", "8"]),
])
def test_the_numbers_of_a_run_appear(name, shown):
    section = next(one for one in run_sections(REPORT, DETAILS) if one.name == name)
    texts = "\n".join(Reader(section.body).texts)
    assert not [one for one in shown if not any(way in texts for way in one.split("|"))], texts


def test_sections_stand_in_order_and_only_where_something_is_known():
    names = [one.name for one in run_sections(REPORT, DETAILS)]
    assert names == ["summary", "answers", "cycles", "timeline", "zeros", "fidelity"]
    more = {"costs": {"quantities": []}, "pareto": {"points": POINTS, "measures": MEASURES}}
    assert [one.name for one in run_sections(REPORT, DETAILS | more)] == [*names, "costs", "pareto"]
    bare = run_sections(REPORT, {"configuration": DETAILS["configuration"]})
    assert [one.name for one in bare] == ["summary", "answers", "cycles", "zeros", "fidelity"]
    assert "MHz" not in bare[0].body and "by head" not in bare[3].body and "left" not in bare[3].body


def test_what_differs_failed_or_was_left_out_is_told():
    run = REPORT | {"mismatches": 3, "mismatched_tensors": {"layer0.<key>": 3}, "warning": "too <short>", "failed": [
        {"lines": [7, 5], "reason": "no interrupt"}], "skipped_lines": [{"line": 2, "reason": "empty"}]}
    texts = Reader(header_section(run).body).texts
    assert "3 integers differ from those of the golden model. 12 tensors were compared." in texts and "layer0.<key>" in texts
    assert {"too <short>", "Lines 5, 7 failed: no interrupt", "Line 2 of the file left out."} <= set(texts)
    assert "At least 3 integers differ" in header_section(run | {"compared_by": "hashes"}).body
    assert "Every tensor has the hash that was saved" in header_section(REPORT | {"compared_by": "hashes"}).body


def test_batches_are_listed():
    part = REPORT["batches"][0]
    body = header_section(REPORT | {"batches": [part, part | {"cycles": 4321}]}).body
    assert {"4,321", "58.6 %", "batches"} <= set(Reader(body).texts)


def test_answers_without_probabilities_and_many_of_them():
    body = answers_section([{"text": "who", "said": ["a span", "<score>"], "line": 9}]).body
    assert {"a span", "<score>", "9", "line"} <= set(Reader(body).texts)
    assert "first 500 of 1,234 sentences" in answers_section([{"text": "x", "label": "y"}] * 1234).body


def test_the_parts_of_a_bar_are_shares_of_the_whole():
    text = bar([("used", 1, "work"), ("lost", 2, "output"), ("none", 0, "idle")], 4)
    assert re.findall(r"width:([\d.]+)%", text) == ["25.0000", "50.0000"]
    assert 'aria-label="used 25.0 %, lost 50.0 %"' in text


def test_a_timeline_holds_each_label_once():
    tracks = [{"group": "units", "name": "PE", "periods": [("busy", at, at + 1) for at in range(0, 20_000, 2)]}]
    data = timeline_section(tracks, cycles=20_000).data
    assert data["labels"] == [["busy", 0]] and data["tracks"][0]["periods"][:6] == [0, 0, 1, 0, 2, 3]
    assert len(embedded("timeline", data)) < 150_000


def test_zeros_of_a_saved_program_are_known_by_kind_only():
    body = zeros_section(REPORT["sparsity"]).body
    assert "Zeros by kind" in body and "each tensor" not in body and "Multiplications" not in body


def test_costs():
    body = costs_section([{"name": "Energy", "unit": "uJ", "parts": {"a<b": 1.25, "rest": 3.75}}], note="Made up.").body
    assert {"a<b", "1.25", "25.0 %", "3.75", "5", "uJ", "Made up."} <= set(Reader(body).texts)


def test_the_front_is_what_no_other_point_beats():
    assert front(POINTS, {"cycles": "less", "area": "less"}) == [True, True, False, False]
    assert front(POINTS, {"cycles": "more", "area": "less"}) == [True, False, False, False]
    twice = [{"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 1, "b": 3}]
    assert front(twice, {"a": "less", "b": "less"}) == [True, True, False]


def test_a_pareto_section_marks_the_front_and_lists_all_points():
    section = pareto_section(POINTS, MEASURES, note="Estimated.")
    reader = Reader(section.body)
    assert "Estimated." in reader.texts and "<window>" in reader.texts and "2 & more" in reader.texts
    rows = [given for name, given in reader.elements if name == "tr" and "data-point" in given]
    assert [given["data-point"] for given in rows] == ["1", "0", "2", "3"]
    assert [given.get("class") for given in rows] == ["best", "best", None, None]
    circles = {given["data-point"]: given for name, given in reader.elements if name == "circle"}
    assert set(circles) == {"0", "1", "2"} and circles["1"]["class"] == "point best" and circles["2"]["class"] == "point"
    assert circles["0"]["aria-label"] == "PEs = 1, <window> = 2 & more"
    assert "2 of 4 points" in section.body and section.body.count("<polyline") == 1


def test_a_pareto_section_has_a_picture_for_each_pair_of_measures():
    points = [{"settings": {"n": n}, "cycles": 10**n, "area": 5 - n, "energy": 7} for n in range(4)]
    section = pareto_section(points, [*MEASURES, {"key": "energy", "label": "energy", "better": "more"}])
    assert section.body.count("<svg") == 3 and "energy (more is better)" in section.body
    assert pareto_section([], MEASURES).body.count("<circle") == 0


def test_axes():
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10] and ticks(0.1, 0.23) == [0.1, 0.15, 0.2]
    points = [{"number": n, "name": "", "on_front": True, "values": {"x": 10**n, "y": n}} for n in range(4)]
    axes = [{"key": key, "label": key, "better": "less"} for key in "xy"]
    places = [float(x) for x in re.findall(r'cx="([\d.]+)"', scatter(points, *axes))]
    gaps = [b - a for a, b in zip(places, places[1:], strict=False)]
    assert max(gaps) - min(gaps) < 0.2, "over three decades an axis is logarithmic"
