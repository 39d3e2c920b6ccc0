import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from axe import screen, violations
from sample_results import conversation, result, utterance

from m2fnet_hf.reports import page as page_module
from m2fnet_hf.reports.page import write_page
from m2fnet_hf.reports.palette import MELD_COLORS

HOSTILE = '</script></td><img src=x onerror="document.title=1"><script>document.title=2</script>&amp;$style'
SPOKEN = [
    utterance(start=0.5, end=2.0),
    utterance("I nearly missed the train.", "anger", 0.8, start=3.0, end=5.0, speaker="BEN"),
    utterance("No.", "anger", 0.5, start=6.0, end=6.0),
    utterance("Sit down.", "neutral", 0.9, start=7.0, end=9.0, missing={"visual": "no face was found"}),
]

MODALITY_SCORES = {
    kind: {name: {label: 0.7, "neutral": 0.3} for name, label in zip(("text", "audio", "visual"), labels, strict=True)}
    for kind, labels in {"alone": ("joy", "anger", "fear"), "without": ("anger", "joy", "joy")}.items()
}


def opened(browser: Any, path: Path, content: dict, recording: Path | None = None) -> Any:
    write_page(content, path, recording)
    browser.get_log("browser")
    browser.get(path.as_uri())
    return browser


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "nothing happened for ten seconds"
        time.sleep(0.05)


def wait_for_video(browser: Any) -> None:
    wait_for(lambda: browser.execute_script("return document.querySelector('video').readyState >= 2"))


def plays_from(browser: Any, act: Callable[[], None]) -> float:
    """Where the video plays from after the act."""
    browser.execute_script(
        "const video = document.querySelector('video'); window.landed = null;"
        "video.addEventListener('seeked', () => { window.landed = video.currentTime; }, {once: true})"
    )
    act()
    state = "const video = document.querySelector('video'); return window.landed !== null && !video.paused"
    wait_for(lambda: browser.execute_script(state))
    return browser.execute_script("return window.landed")


def highlighted(browser: Any) -> list[str]:
    return [row.get_attribute("data-start") for row in browser.find_elements("css selector", "tr[aria-current=true]")]


@pytest.fixture
def watching(browser: Any, tmp_path: Path, recording: Path) -> Any:
    opened(browser, tmp_path / "page.html", result(SPOKEN), recording)
    wait_for_video(browser)
    return browser


@pytest.mark.parametrize(
    "place", [".section tbody tr:nth-child(2) .said", ".section tbody tr:nth-child(2) button", ".bar:nth-of-type(2)"]
)
def test_a_click_plays_the_utterance(watching: Any, place: str) -> None:
    target = watching.find_element("css selector", place)
    assert plays_from(watching, target.click) == pytest.approx(3.0, abs=0.3)
    assert highlighted(watching) == ["3.0"]


@pytest.mark.parametrize("place", [".section tbody tr:nth-child(4) button", ".bar"])
def test_enter_plays_the_utterance(watching: Any, place: str) -> None:
    from selenium.webdriver.common.keys import Keys

    target = watching.find_element("css selector", place)
    if place == ".bar":
        for _ in range(3):
            target.send_keys(Keys.ARROW_RIGHT)
            target = watching.switch_to.active_element
    assert plays_from(watching, lambda: target.send_keys(Keys.ENTER)) == pytest.approx(7.0, abs=0.3)


def test_the_highlight_follows(watching: Any) -> None:
    seek = "const v = document.querySelector('video'); v.pause(); v.currentTime = arguments[0]"
    for moment, expected in ((3.5, ["3.0"]), (5.5, []), (8.0, ["7.0"]), (0.6, ["0.5"])):
        watching.execute_script(seek, moment)
        wait_for(lambda expected=expected: highlighted(watching) == expected)
    playhead = "return parseFloat(document.querySelector('.playhead').style.left)"
    assert watching.execute_script(playhead) == pytest.approx(100 * (0.6 - 0.5) / 8.5, abs=0.1)


def test_what_is_played_is_scrolled_into_view(browser: Any, tmp_path: Path, recording: Path) -> None:
    long = [utterance(f"Words {n}.", start=n / 20, end=(n + 1) / 20) for n in range(100)]
    opened(browser, tmp_path / "page.html", result(long), recording)
    wait_for_video(browser)
    row = browser.find_elements("css selector", ".section tbody tr")[-1]
    in_view = "const r = arguments[0].getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight"
    assert not browser.execute_script(in_view, row)
    browser.execute_script("document.querySelector('video').currentTime = 4.91")
    wait_for(lambda: browser.execute_script(in_view, row))


def test_the_filter_hides_other_emotions(watching: Any) -> None:
    def shown() -> list[str]:
        rows = watching.find_elements("css selector", ".section tbody tr")
        return [row.get_attribute("data-label") for row in rows if row.is_displayed()]

    chips = {chip.get_attribute("data-label"): chip for chip in watching.find_elements("css selector", ".chips button")}
    assert set(chips) == {"joy", "anger", "neutral"}
    chips["anger"].click()
    assert shown() == ["anger", "anger"]
    assert watching.find_element("id", "shown").text == "2 of 4 utterances"
    assert [bar.is_displayed() for bar in watching.find_elements("css selector", ".bar")] == [False, True, True, False]
    chips["joy"].click()
    assert shown() == ["joy", "anger", "anger"]
    chips["joy"].click()
    chips["anger"].click()
    assert len(shown()) == 4


def test_all_probabilities_unfold(watching: Any) -> None:
    row = watching.find_element("css selector", ".section tbody tr:nth-child(4)")
    scores = row.find_element("css selector", ".scores")
    assert not scores.is_displayed()
    row.find_element("css selector", "summary").click()
    assert scores.text.split()[:2] == ["neutral", "90%"]
    assert len(scores.find_elements("css selector", "li")) == 7
    assert "No faces: no face was found." in row.text
    assert watching.execute_script("return document.querySelector('video').paused"), "unfolding does not play"


@pytest.mark.parametrize("embedded", [True, False])
def test_nothing_is_requested_and_nothing_complains(
    browser: Any, tmp_path: Path, recording: Path, monkeypatch: pytest.MonkeyPatch, embedded: bool
) -> None:
    if not embedded:
        monkeypatch.setattr(page_module, "LARGEST_EMBEDDED", 10)
    folder = tmp_path / "a b%c"
    folder.mkdir()
    opened(browser, folder / "page.html", result(SPOKEN), recording)
    wait_for_video(browser)
    target = browser.find_element("css selector", ".section tbody button")
    assert plays_from(browser, target.click) == pytest.approx(0.5, abs=0.3)
    assert browser.get_log("browser") == []
    names = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(name.startswith("data:") or (not embedded and name.startswith("file:")) for name in names)
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert ("base64," in page) == embedded
    assert "http" not in page.replace("http-equiv", "")


def test_each_modality_and_the_others_without_it_are_told_apart(browser: Any, tmp_path: Path) -> None:
    three = MODALITY_SCORES
    joy, anger = (three["alone"][modality] for modality in ("text", "audio"))
    two = {"alone": {"text": joy, "audio": anger}, "without": {"text": anger, "audio": joy}}
    one = {"alone": {"text": joy}, "without": {}}
    opened(browser, tmp_path / "page.html", result([utterance(modality_scores=each) for each in (three, two, one)]))
    browser.execute_script("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    rows = browser.find_elements("css selector", ".section tbody tr")
    assert len(rows) == 3
    shown = [[line.text.split("\n") for line in row.find_elements("css selector", ".by-modality li")] for row in rows]
    assert shown == [
        [
            *(["Text alone: joy", "70%"], ["Sound alone: anger", "70%"], ["Faces alone: fear", "70%"]),
            *(["Without text: anger", "70%"], ["Without sound: joy", "70%"], ["Without faces: joy", "70%"]),
        ],
        [["Text alone: joy", "70%"], ["Sound alone: anger", "70%"]],
        [],
    ]
    assert len(browser.find_elements("css selector", "ul[aria-label='The emotion by modality']")) == 2
    assert browser.get_log("browser") == []


def test_hostile_words_are_inert(browser: Any, tmp_path: Path) -> None:
    content = result(
        [utterance(HOSTILE, speaker=HOSTILE, missing={"visual": HOSTILE})],
        source=HOSTILE, model=HOSTILE, note=HOSTILE, warnings=[HOSTILE], missing={"visual": {HOSTILE: 1}},
    )  # fmt: skip
    opened(browser, tmp_path / "page.html", content)
    assert browser.find_element("css selector", "td.said").text == HOSTILE
    assert browser.title == f"{HOSTILE}: emotions"
    assert browser.find_elements("tag name", "img") == []
    assert len(browser.find_elements("tag name", "script")) == 1
    assert browser.get_log("browser") == []


def test_a_label_is_escaped_too(browser: Any, tmp_path: Path) -> None:
    content = result([utterance(label=HOSTILE)], labels=[HOSTILE, "neutral", "surprise", "fear", "sadness", "joy",
                                                         "disgust", "anger"])  # fmt: skip
    opened(browser, tmp_path / "page.html", content)
    browser.find_element("css selector", ".chips button").click()
    assert browser.find_element("css selector", ".section tbody tr").is_displayed()
    assert browser.find_elements("tag name", "img") == []


def test_a_file_that_cannot_be_played_is_reported(browser: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"no video at all")
    opened(browser, tmp_path / "page.html", result(SPOKEN), broken)
    wait_for(lambda: browser.find_element("id", "unplayable").is_displayed())
    assert "cannot play broken.avi" in browser.find_element("id", "unplayable").text


def test_without_a_recording_a_click_still_finds_the_row(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path / "page.html", result(SPOKEN))
    assert browser.find_elements("css selector", "video, audio, tbody button") == []
    browser.find_elements("css selector", ".bar")[1].click()
    assert highlighted(browser) == ["3.0"]


def test_without_times_utterances_are_numbered(browser: Any, tmp_path: Path, recording: Path) -> None:
    opened(browser, tmp_path / "page.html", conversation(5, timed=False), recording)
    assert [cell.text for cell in browser.find_elements("css selector", "td.time")] == ["1", "2", "3", "4", "5"]
    browser.find_elements("css selector", ".bar")[2].click()
    assert browser.find_element("css selector", "tr.now td.time").text == "3"
    assert browser.execute_script("return document.querySelector('video').paused")
    assert browser.get_log("browser") == []


def test_sound_alone_is_an_audio_element(tmp_path: Path) -> None:
    sound = tmp_path / "talk.wav"
    sound.write_bytes(b"RIFF")
    write_page(result(SPOKEN), tmp_path / "page.html", sound)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<audio controls" in page
    assert "data:audio/" in page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1100, 1600])
def test_it_fits_every_width_and_axe_finds_nothing(
    browser: Any, tmp_path: Path, recording: Path, width: int, scheme: str
) -> None:
    content = conversation(16, 2)
    content["utterances"][0] |= {"modality_scores": MODALITY_SCORES, "missing": {"visual": "no face was found"}}
    content["warnings"] = ["One clip could not be read."]
    with screen(browser, width, scheme):
        opened(browser, tmp_path / "page.html", content, recording)
        page_width, background, video, table = browser.execute_script(
            "const box = (name) => document.querySelector(name).getBoundingClientRect().toJSON();"
            "return [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor,"
            " box('video'), box('.section table')]"
        )
        columns = {
            name: browser.find_element("css selector", f".section .{name}").size["width"]
            for name in ("speaker", "said")
        }
        browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
        assert violations(browser) == []
    assert page_width <= width
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 29)"}[scheme]
    assert (video["right"] < table["left"]) == (width == 1600), "the video is beside the table where there is room"
    if width > 360:
        assert columns["said"] > 2 * columns["speaker"]


def test_in_print_only_the_table_is_left(browser: Any, tmp_path: Path, recording: Path) -> None:
    opened(browser, tmp_path / "page.html", result(SPOKEN), recording)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = {
            name: browser.find_element("css selector", name).is_displayed()
            for name in ("h1", ".section table", "video", ".timeline", "#filters")
        }
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert shown == {"h1": True, ".section table": True, "video": False, ".timeline": False, "#filters": False}


def shown_words(browser: Any) -> list[str]:
    """What is said in the rows that are shown, also below the edge of the window."""
    script = "return Array.from(document.querySelectorAll('.section tbody tr')).filter((row) => row.checkVisibility())"
    return browser.execute_script(f"{script}.map((row) => row.querySelector('.said').textContent)")


def found(browser: Any) -> str:
    return browser.find_element("id", "shown").text


@pytest.fixture
def long_talk(browser: Any, tmp_path: Path) -> Any:
    """Of 300 utterances the 260th alone speaks of a café."""
    content = conversation(300)
    content["utterances"][259] |= {"text": "Un CAFÉ noir.", "speaker": "Zoë", "label": "fear"}
    return opened(browser, tmp_path / "page.html", content)


def test_search_finds_words_in_folded_sections(long_talk: Any) -> None:
    assert len(shown_words(long_talk)) == 50, "one section is open"
    assert found(long_talk) == "300 utterances"
    search = long_talk.find_element("id", "search")
    search.send_keys("cafe")
    wait_for(lambda: found(long_talk) == "1 of 300 utterances")
    assert shown_words(long_talk) == ["Un CAFÉ noir."]
    section = [one for one in long_talk.find_elements("css selector", ".section") if one.is_displayed()]
    assert [one.find_element("css selector", ".count").text for one in section] == ["1 of 50 utterances"]
    search.clear()
    search.send_keys("nothing of the kind")
    wait_for(lambda: found(long_talk) == "0 of 300 utterances")
    assert shown_words(long_talk) == []
    long_talk.find_element("id", "all").click()
    assert found(long_talk) == "300 utterances"
    assert len(shown_words(long_talk)) == 50, "the sections are as they were"


def test_a_speaker_is_chosen_and_an_emotion_of_them(long_talk: Any) -> None:
    from selenium.webdriver.support.ui import Select

    Select(long_talk.find_element("id", "speaker")).select_by_value("Zoë")
    assert shown_words(long_talk) == ["Un CAFÉ noir."]
    long_talk.find_element("css selector", ".chips button[data-label=joy]").click()
    assert found(long_talk) == "0 of 300 utterances"


def test_sections_fold(long_talk: Any) -> None:
    height = "return document.documentElement.scrollHeight"
    assert long_talk.execute_script(height) < 5000
    sections = long_talk.find_elements("css selector", ".section > summary")
    assert [one.text.split()[-2:] for one in sections] == [["50", "utterances"]] * 6
    sections[1].click()
    assert len(shown_words(long_talk)) == 100
    long_talk.find_element("id", "fold").click()
    assert shown_words(long_talk) == []
    assert long_talk.execute_script(height) < 1200
    long_talk.find_element("id", "unfold").click()
    assert len(shown_words(long_talk)) == 300


def test_the_page_is_walked_by_keys(watching: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(*keys: str) -> Any:
        ActionChains(watching).send_keys(*keys).perform()
        return watching.switch_to.active_element

    assert press(Keys.TAB).text == "Skip to the utterances"
    assert press(Keys.ENTER).get_attribute("id") == "utterances"
    row = watching.find_element("css selector", ".section tbody tr")
    for _ in range(8):
        if press(Keys.TAB) == row:
            break
    assert press("j", Keys.ARROW_DOWN, "j", "k").get_attribute("data-start") == "6.0"
    assert press(Keys.ARROW_UP).get_attribute("data-start") == "3.0"
    focused = "return getComputedStyle(document.activeElement).outlineStyle"
    assert watching.execute_script(focused) == "solid"
    details = "return document.activeElement.querySelector('details').open"
    assert not watching.execute_script(details)
    press(Keys.SPACE)
    assert watching.execute_script(details)
    assert plays_from(watching, lambda: press(Keys.ENTER)) == pytest.approx(3.0, abs=0.3)


def test_keys_go_on_into_a_folded_section(long_talk: Any) -> None:
    rows = long_talk.find_elements("css selector", ".section tbody tr")
    long_talk.execute_script("arguments[0].focus()", rows[49])
    rows[49].send_keys("j")
    assert long_talk.switch_to.active_element == rows[50]
    assert rows[50].is_displayed()


def test_without_scripts_everything_can_be_read(browser: Any, tmp_path: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(browser, tmp_path / "page.html", conversation(60))
        assert not browser.find_element("id", "filters").is_displayed(), "nothing is offered that does not work"
        sections = browser.find_elements("css selector", ".section")
        rows = sections[1].find_elements("css selector", "tbody tr")
        assert not rows[0].is_displayed()
        sections[1].find_element("css selector", "summary").click()
        assert [row.is_displayed() for row in rows] == [True] * 10
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_every_bar_says_its_emotion_and_is_filled_to_its_probability(browser: Any, tmp_path: Path) -> None:
    scores = (0.02, 0.3, 0.61, 1.0)
    said = [utterance("", "sadness", score, start=n, end=n + 0.9) for n, score in enumerate(scores)]
    said.append(utterance("", "surprise", start=4, end=4.01))
    opened(browser, tmp_path / "page.html", result(said))
    bars = browser.find_elements("css selector", ".bar")
    assert [bar.text for bar in bars] == ["sadness"] * 4 + ["su"]
    assert bars[4].get_attribute("title") == "0:04.0 ANN, surprise 61%"
    assert [bar.accessible_name for bar in bars[:1]] == ["0:00.0 ANN, sadness 2%"]
    drawn = "const s = getComputedStyle(arguments[0], '::after'); return [s.borderColor, s.opacity, s.backgroundImage]"
    for bar, score in zip(bars, scores, strict=False):
        border, opacity, filled = browser.execute_script(drawn, bar)
        assert border == "rgb({}, {}, {})".format(*bytes.fromhex(MELD_COLORS["sadness"][1:]))
        assert opacity == "1", "a colour is never faded"
        assert f"{border} {100 * score:.0f}%" in filled


def test_small_charts_show_each_speaker_over_time(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path / "page.html", result(SPOKEN))
    charts = browser.find_elements("css selector", ".charts table")
    assert [chart.find_element("css selector", "bdi").text for chart in charts] == ["ANN", "BEN"]
    assert [row.text.split() for row in charts[1].find_elements("css selector", "tbody tr")] == [["anger", "100%"]]
    assert charts[1].find_element("css selector", "svg").accessible_name == "most from 0:03.7 on"


def test_right_to_left_words_run_from_the_right(browser: Any, tmp_path: Path) -> None:
    content = result([utterance("مرحبا، كيف حالك؟", speaker="דוד"), utterance()], source="مقابلة.srt")
    opened(browser, tmp_path / "page.html", content)
    direction = "return Array.from(document.querySelectorAll(arguments[0]), (one) => getComputedStyle(one).direction)"
    expected = {"h1": ["rtl"], ".said[dir]": ["rtl", "ltr"], "tbody .speaker": ["rtl", "ltr"]}
    assert {name: browser.execute_script(direction, name) for name in expected} == expected


@pytest.mark.slow
def test_ten_thousand_utterances_stay_responsive(browser: Any, tmp_path: Path) -> None:
    content = conversation(10_000, 12)
    opened(browser, tmp_path / "page.html", content)
    assert browser.execute_script("return document.querySelectorAll('.bar').length") == 10_000
    assert browser.execute_script("return document.documentElement.scrollHeight") < 15_000
    timed = "const before = performance.now(); {}; document.body.offsetHeight; return performance.now() - before"
    assert browser.execute_script(timed.format("search.value = 'taxi'; filter()")) < 3000
    sought = sum("taxi" in one["text"] for one in content["utterances"])
    assert found(browser) == f"{sought} of 10000 utterances"
    assert browser.execute_script(timed.format("select(9999)")) < 3000


def test_tags_are_balanced(tmp_path: Path) -> None:
    scores = {"alone": {"text": {"joy": 1.0}, "audio": {"joy": 1.0}}, "without": {}}
    content = conversation(3)
    content["utterances"].append(utterance(modality_scores=scores))
    write_page(content, tmp_path / "page.html")
    still_open: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list) -> None:
            if tag not in {"meta", "link", "input"}:
                still_open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert still_open.pop() == tag

    Checker().feed((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert still_open == []
