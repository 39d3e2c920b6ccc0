import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sample_results import conversation, result, utterance

from m2fnet_hf.reports import page as page_module
from m2fnet_hf.reports.page import write_page

HOSTILE = '</script></td><img src=x onerror="document.title=1"><script>document.title=2</script>&amp;$style'
SPOKEN = [
    utterance(start=0.5, end=2.0),
    utterance("I nearly missed the train.", "anger", 0.8, start=3.0, end=5.0, speaker="BEN"),
    utterance("No.", "anger", 0.5, start=6.0, end=6.0),
    utterance("Sit down.", "neutral", 0.9, start=7.0, end=9.0, missing={"visual": "no face was found"}),
]


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
    "place", ["tbody tr:nth-child(2) .said", "tbody tr:nth-child(2) button", ".bar:nth-of-type(2)"]
)
def test_a_click_plays_the_utterance(watching: Any, place: str) -> None:
    target = watching.find_element("css selector", place)
    assert plays_from(watching, target.click) == pytest.approx(3.0, abs=0.3)
    assert highlighted(watching) == ["3.0"]


@pytest.mark.parametrize("place", ["tbody tr:nth-child(4) button", ".bar"])
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
    row = browser.find_element("css selector", "tbody tr:last-child")
    in_view = "const r = arguments[0].getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight"
    assert not browser.execute_script(in_view, row)
    browser.execute_script("document.querySelector('video').currentTime = 4.91")
    wait_for(lambda: browser.execute_script(in_view, row))


def test_the_filter_hides_other_emotions(watching: Any) -> None:
    def shown() -> list[str]:
        rows = watching.find_elements("css selector", "tbody tr")
        return [row.get_attribute("data-label") for row in rows if row.is_displayed()]

    chips = {
        chip.get_attribute("data-label"): chip for chip in watching.find_elements("css selector", ".filters button")
    }
    assert set(chips) == {"joy", "anger", "neutral"}
    chips["anger"].click()
    assert shown() == ["anger", "anger"]
    assert watching.find_element("id", "shown").text == "2 of 4 utterances"
    assert len(watching.find_elements("css selector", ".bar.faded")) == 2
    chips["joy"].click()
    assert shown() == ["joy", "anger", "anger"]
    chips["joy"].click()
    chips["anger"].click()
    assert len(shown()) == 4


def test_all_probabilities_unfold(watching: Any) -> None:
    row = watching.find_element("css selector", "tbody tr:nth-child(4)")
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
    target = browser.find_element("css selector", "tbody button")
    assert plays_from(browser, target.click) == pytest.approx(0.5, abs=0.3)
    assert browser.get_log("browser") == []
    names = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(name.startswith("data:") or (not embedded and name.startswith("file:")) for name in names)
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert ("base64," in page) == embedded
    assert "http" not in page.replace("http-equiv", "")


def test_each_modality_and_the_others_without_it_are_told_apart(browser: Any, tmp_path: Path) -> None:
    joy, anger, fear = ({label: 0.7, "neutral": 0.3} for label in ("joy", "anger", "fear"))
    three = {
        "alone": {"text": joy, "audio": anger, "visual": fear},
        "without": {"text": anger, "audio": joy, "visual": joy},
    }
    two = {"alone": {"text": joy, "audio": anger}, "without": {"text": anger, "audio": joy}}
    one = {"alone": {"text": joy}, "without": {}}
    opened(browser, tmp_path / "page.html", result([utterance(modality_scores=each) for each in (three, two, one)]))
    browser.execute_script("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    rows = browser.find_elements("css selector", "tbody tr")
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
    assert browser.find_element("css selector", ".said").text == HOSTILE
    assert browser.title == f"{HOSTILE}: emotions"
    assert browser.find_elements("tag name", "img") == []
    assert len(browser.find_elements("tag name", "script")) == 1
    assert browser.get_log("browser") == []


def test_a_label_is_escaped_too(browser: Any, tmp_path: Path) -> None:
    content = result([utterance(label=HOSTILE)], labels=[HOSTILE, "neutral", "surprise", "fear", "sadness", "joy",
                                                         "disgust", "anger"])  # fmt: skip
    opened(browser, tmp_path / "page.html", content)
    browser.find_element("css selector", ".filters button").click()
    assert browser.find_element("css selector", "tbody tr").is_displayed()
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


@pytest.mark.parametrize("width", [360, 800, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_width(browser: Any, tmp_path: Path, recording: Path, width: int, scheme: str) -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    preference = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": preference})
    try:
        opened(browser, tmp_path / "page.html", conversation(24, 12), recording)
        page_width, background, video, table = browser.execute_script(
            "const box = (name) => document.querySelector(name).getBoundingClientRect().toJSON();"
            "return [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor,"
            " box('video'), box('table')]"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert page_width <= width
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 29)"}[scheme]
    assert (video["right"] < table["left"]) == (width == 1600), "the video is beside the table where there is room"


def test_in_print_only_the_table_is_left(browser: Any, tmp_path: Path, recording: Path) -> None:
    opened(browser, tmp_path / "page.html", result(SPOKEN), recording)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = {
            name: browser.find_element("css selector", name).is_displayed()
            for name in ("h1", "table", "video", ".timeline", ".filters")
        }
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert shown == {"h1": True, "table": True, "video": False, ".timeline": False, ".filters": False}


def test_two_thousand_utterances_load_at_once(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path / "page.html", conversation(2000, 12))
    assert browser.execute_script("return document.querySelectorAll('.bar').length") == 2000
    assert browser.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd") < 10_000


def test_tags_are_balanced(tmp_path: Path) -> None:
    scores = {"alone": {"text": {"joy": 1.0}, "audio": {"joy": 1.0}}, "without": {}}
    content = conversation(3)
    content["utterances"].append(utterance(modality_scores=scores))
    write_page(content, tmp_path / "page.html")
    still_open: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list) -> None:
            if tag not in {"meta", "link"}:
                still_open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert still_open.pop() == tag

    Checker().feed((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert still_open == []
