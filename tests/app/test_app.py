import re
import shutil
import socket
import subprocess
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import tiny
from tracks import write_tracks

gradio = pytest.importorskip("gradio", reason="gradio is not installed")
exceptions = pytest.importorskip("selenium.common.exceptions", reason="selenium is not installed")
chains = pytest.importorskip("selenium.webdriver.common.action_chains", reason="selenium is not installed")
keys = pytest.importorskip("selenium.webdriver.common.keys", reason="selenium is not installed").Keys

from app_server import app_server  # noqa: E402
from axe import screen, violations  # noqa: E402

from m2fnet_hf.app.modality_table import modality_table  # noqa: E402
from m2fnet_hf.app.page import SAMPLE  # noqa: E402
from m2fnet_hf.cli import _parser, main  # noqa: E402

CHECKOUT = Path(__file__).parents[2]
TWO = "1\n00:00:00,000 --> 00:00:00,800\nANN: You came!\n\n2\n00:00:01,000 --> 00:00:02,500\nBEN: Never again.\n"
REPORTS = {f"conversation.{kind}" for kind in ("json", "csv", "emotions.srt", "emotions.vtt", "eaf", "png", "html")}
FIRST_PAINT = 2000  # milliseconds
SETTLED = 0.5  # seconds until a page has its colours after the preference has changed
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    with app_server(tmp_path_factory.mktemp("app")) as serve:
        yield serve


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], results: Path) -> str:
    return serve("meld-mini", results=results)


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(exceptions.StaleElementReferenceException, exceptions.ElementClickInterceptedException):
            if found := condition():
                return found
        time.sleep(0.05)
    raise AssertionError(f"nothing happened for {seconds} seconds")


class Visitor:
    """Somebody at the page."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser = browser
        browser.get(address)
        self.wait_for("input[type=file]")

    def all(self, selector: str) -> list[Any]:
        return self.browser.find_elements("css selector", selector)

    def give(self, slot: str, path: Path) -> None:
        self.all(f"#{slot} input[type=file]")[0].send_keys(str(path))

    def give_both(self, recording: Path, transcript: Path) -> None:
        for slot, path in (("recording", recording), ("transcript", transcript)):
            self.give(slot, path)
            self.wait_for(f"#{slot} a[download]")

    def wait_for(self, selector: str) -> list[Any]:
        return wait_for(lambda: self.all(selector))

    def text(self) -> str:
        return self.browser.find_element("tag name", "body").text

    def click(self, name: str) -> None:
        def clicked() -> bool:
            buttons = [button for button in self.all("button") if button.text == name]
            return bool(buttons) and buttons[0].click() is None

        wait_for(clicked)

    def said(self, slot: str = "") -> str:
        """The sentence that the page answers with, beside a field or where it is."""
        return wait_for(lambda: "".join(one.text for one in self.all(f"{slot} [role=alert], [data-testid=toast-body]")))

    def wait_for_reports(self) -> None:
        wait_for(lambda: any(link.get_attribute("download").endswith(".json") for link in self.all("a[download]")))

    def answer(self) -> list[list[str]]:
        """Start, speaker, words and emotion of the timeline's utterances."""
        rows = (
            "const cell = (row, name) => row.querySelector(`.${name}`).textContent;"
            "const cells = (row) => [...['time', 'speaker', 'said'].map((name) => cell(row, name)), row.dataset.label];"
            "const page = document.querySelector('iframe').contentDocument;"
            "return [...page.querySelectorAll('.section tbody tr')].map(cells)"
        )
        self.wait_for_reports()
        return wait_for(lambda: self.browser.execute_script(rows))

    def table(self) -> list[str]:
        """The cells in which who says what can be corrected."""
        return [cell.text.partition("\n")[0] for cell in self.all("#table [role=gridcell]")]

    def correct(self, words: str, other: str) -> None:
        def editing() -> bool:
            """Whether a double click opened the cell, which the answer that came before may have drawn anew."""
            cells = [cell for cell in self.all("#table [role=gridcell]") if cell.text.partition("\n")[0] == words]
            for cell in cells:
                chains.ActionChains(self.browser).double_click(cell).pause(1).perform()
            return self.browser.switch_to.active_element.tag_name == "textarea"

        wait_for(editing)
        everything = chains.ActionChains(self.browser).key_down(keys.CONTROL).send_keys("a").key_up(keys.CONTROL)
        everything.send_keys(other, keys.ENTER).perform()
        wait_for(lambda: other in self.table())

    def in_frame(self) -> None:
        self.wait_for_reports()
        self.browser.switch_to.frame(self.all("iframe")[0])


@pytest.fixture
def visitor(browser: Any, address: str) -> Visitor:
    return Visitor(browser, address)


def test_a_video_is_predicted_played_and_downloaded(visitor: Visitor) -> None:
    assert "This model reads text only" in visitor.text()
    visitor.give_both(SAMPLE / "conversation.mp4", SAMPLE / "conversation.srt")
    visitor.click("Predict")
    visitor.in_frame()
    assert len(visitor.wait_for(".section tbody tr")) == len(visitor.all(".bar")) == 10
    assert all(len(row.find_elements("css selector", ".scores li")) == 7 for row in visitor.all(".section tbody tr"))
    third = visitor.all(".section tbody button")[2]
    visitor.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", third)
    third.click()
    playing = "const v = document.querySelector('video'); return !v.paused && !v.seeking && v.currentTime"
    assert 6.1 < wait_for(lambda: visitor.browser.execute_script(playing)) < 10, "the third utterance starts at 6.2 s"
    visitor.browser.switch_to.default_content()
    assert "This model reads text only: there is nothing to withhold" in visitor.text()
    script = "return Object.fromEntries([...document.querySelectorAll('a[download]')].map((a) => [a.download, a.href]))"
    links = visitor.browser.execute_script(script)
    assert links.keys() >= REPORTS
    with urlopen(links["conversation.csv"]) as response:
        assert response.read().decode().count("\n") == 11


def test_words_alone_are_enough_and_nothing_is_left_of_who_left(
    visitor: Visitor, results: Path, tmp_path: Path
) -> None:
    path = tmp_path / "talk.csv"
    path.write_text("speaker,text\nAnn,You came!\nBen,Never again.\n")
    visitor.give("transcript", path)
    wait_for(lambda: "Never again." in visitor.text())
    visitor.click("Predict")
    visitor.in_frame()
    assert [cell.text for cell in visitor.wait_for(".section tbody .said")] == ["You came!", "Never again."]
    assert any(results.iterdir())
    visitor.browser.get("about:blank")
    wait_for(lambda: not any(results.iterdir()))


def claims_two_gigabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 * 2**30)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.mp4", b"", "empty.mp4 must be a video or a sound recording"),
        ("notes.txt", b"A list.", "Invalid file type"),
    ],
)
def test_what_is_no_recording_is_refused(
    visitor: Visitor, tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    visitor.give("recording", tmp_path / name)
    assert sentence in visitor.said("#recording-problem")


def test_what_is_too_large_is_refused(visitor: Visitor, tmp_path: Path) -> None:
    with (tmp_path / "long.mp4").open("wb") as file:
        file.truncate(2 * 2**30)
    visitor.give("recording", tmp_path / "long.mp4")
    assert "exceed the maximum allowed size of 512" in visitor.said()


def test_after_a_mistake_the_app_goes_on(visitor: Visitor, tmp_path: Path) -> None:
    broken, good = tmp_path / "broken.csv", tmp_path / "talk.srt"
    broken.write_text(f"start,{HOSTILE}\n0,a\n")
    good.write_text(TWO)
    visitor.give("transcript", broken)
    assert f"found start, {HOSTILE}; rename its columns." in visitor.said("#transcript-problem")
    visitor.browser.refresh()
    visitor = Visitor(visitor.browser, visitor.browser.current_url)
    visitor.click("Predict")
    assert "The words that are said are needed, found none" in visitor.said()
    visitor.give("transcript", good)
    wait_for(lambda: "Never again." in visitor.text())
    visitor.click("Predict")
    assert [row[1:3] for row in visitor.answer()] == [["ANN", "You came!"], ["BEN", "Never again."]]


def test_a_word_is_corrected_in_the_table_and_the_answer_follows(visitor: Visitor, tmp_path: Path) -> None:
    (tmp_path / "talk.srt").write_text(TWO)
    visitor.give("transcript", tmp_path / "talk.srt")
    wait_for(lambda: "Never again." in visitor.text())
    visitor.click("Predict")
    before = visitor.answer()
    visitor.correct("You came!", "I hate you!")
    visitor.click("Predict")
    after = wait_for(lambda: (said := visitor.answer()) != before and said)
    assert [row[:3] for row in before] == [["0:00.0", "ANN", "You came!"], ["0:01.0", "BEN", "Never again."]]
    assert [row[:3] for row in after] == [["0:00.0", "ANN", "I hate you!"], ["0:01.0", "BEN", "Never again."]]
    assert (before[0][3], after[0][3]) == ("joy", "anger")
    assert visitor.table() == ["0", "0.8", "ANN", "I hate you!", "1", "2.5", "BEN", "Never again."]


def test_axe_finds_nothing_before_and_after_an_answer(visitor: Visitor) -> None:
    def check(*screens: tuple[int, str]) -> None:
        for width, scheme in screens:
            with screen(visitor.browser, width, scheme):
                time.sleep(SETTLED)
                assert violations(visitor.browser) == [], (width, scheme)

    wide, narrow = [[(width, scheme) for scheme in ("light", "dark")] for width in (1400, 390)]
    check(*wide, *narrow)
    visitor.click("Predict")
    assert "The words that are said are needed, found none" in visitor.said()
    visitor.click("A surprise")
    wait_for(lambda: "You came!" in visitor.text())
    check(wide[0])
    visitor.click("Predict")
    assert visitor.answer()[0][2] == "You came!"
    assert "need the start and end of utterances, found none" in visitor.text(), "a remark stands in the page"
    check(*wide, *narrow)
    for tab in ("Several", "Live"):
        visitor.click(tab)
        check(wide[0], narrow[1])


def test_several_files_are_answered_in_the_page(visitor: Visitor, tmp_path: Path) -> None:
    (tmp_path / "talk.srt").write_text(TWO)
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n")
    visitor.click("Several")
    visitor.wait_for("#several input[type=file]")[0].send_keys(f"{tmp_path / 'talk.srt'}\n{tmp_path / 'broken.csv'}")
    visitor.wait_for("#several a[download='broken.csv']")
    visitor.click("Predict all")
    rows = visitor.wait_for(".table tbody tr")
    assert any(re.fullmatch(r"talk [a-z]+ \d(, [a-z]+ \d)?", row.text) for row in rows)
    assert any(row.text.startswith("broken") and row.text.endswith("rename its columns.") for row in rows)
    assert violations(visitor.browser) == []
    counted = "window.asked = 0; HTMLInputElement.prototype.click = () => window.asked++"
    visitor.browser.execute_script(counted)
    (more,) = visitor.all("#several .icon-button:has(input)")
    more.send_keys(keys.ENTER)
    assert visitor.browser.execute_script("return window.asked") == 1, "more files can be chosen"


def test_the_sound_track_of_a_recording_is_chosen(visitor: Visitor, tmp_path: Path) -> None:
    tone = np.sin(np.arange(16_000) / 20)
    write_tracks(tmp_path / "two.mkv", [0 * tone, tone])
    visitor.give("recording", tmp_path / "two.mkv")
    (track,) = visitor.wait_for("#track input")
    assert track.get_attribute("value") == "Track 2", "the first that is not silent"


def test_the_page_is_there_within_two_seconds(visitor: Visitor, address: str) -> None:
    """In a browser that was here before; the best of three visits, as other tests run beside them."""
    script = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    paints = []
    for _ in range(3):
        visitor.browser.get(address)
        paints.append(wait_for(lambda: visitor.browser.execute_script(script)))
    assert min(paints) < FIRST_PAINT


def test_live_grows(visitor: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "talk.srt"
    path.write_text(TWO)
    visitor.give_both(SAMPLE / "conversation.mp4", path)
    visitor.click("Play live")
    count = "return document.querySelector('iframe')?.contentDocument?.querySelectorAll('.section tbody tr').length"
    seen = []
    wait_for(lambda: seen.append(visitor.browser.execute_script(count)) or seen[-1] == 2)
    assert 1 in seen, "the first utterance is shown before the second was said"
    assert visitor.browser.execute_script("return document.querySelector('.player video').currentTime") > 0


def test_each_modality_is_withheld_and_attention_is_shown(
    browser: Any, serve: Callable[..., str], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    times = np.arange(0, 3, 0.25)
    units = np.random.default_rng(0).random((len(times), tiny.ACTION_UNITS))
    boxes = np.tile([0.1, 0.1, 0.4, 0.6], (len(times), 1))
    np.savez(tmp_path / "faces.npz", times=times, boxes=boxes, action_units=units)
    (tmp_path / "talk.srt").write_text(TWO)
    address = serve(str(tiny_checkpoint), str(tmp_path / "faces.npz"))
    visitor = Visitor(browser, address)
    assert "reads text only" not in visitor.text()
    visitor.give_both(SAMPLE / "conversation.mp4", tmp_path / "talk.srt")
    visitor.click("Predict")
    visitor.wait_for_reports()
    head, *rows = browser.execute_script(
        "const cells = (row) => [...row.cells].map((cell) => cell.innerText);"
        "return [...document.querySelectorAll('.modalities tr')].map(cells)"
    )
    assert head == [
        "Utterance",
        *("With all", "Text alone", "Sound alone", "Faces alone"),
        *("Without text", "Without sound", "Without faces"),
        *("Where it looked for sound", "Where it looked for faces"),
    ]
    assert [row[0] for row in rows] == ["1. ANN You came!", "2. BEN Never again."]
    assert all("%" in cell for row in rows for cell in row[1:])
    assert len(visitor.all(".modalities .strip i")) == 2 * 2 * 2


def answer(label: str, modalities: list[str], **more: Any) -> dict[str, Any]:
    return {"speaker": HOSTILE, "text": HOSTILE, "label": label, "score": 0.5, "modalities": modalities, **more}


def test_the_table_of_modalities_marks_changes_and_what_was_never_there() -> None:
    joy, fear = {"joy": 0.75, "fear": 0.25}, {"joy": 0.4, "fear": 0.6}
    lone = {"alone": {"text": joy}, "without": {}}
    both = {"alone": {"text": joy, "audio": fear}, "without": {"text": fear, "audio": joy}}
    answers = [
        answer("joy", ["text"], weights={"text": 0.75, "audio": 0.25}, modality_scores=lone),
        answer("joy", ["text", "audio"], modality_scores=both),
    ]
    table = modality_table(answers[:1], ["text", "audio"], ["joy", "fear"])
    assert table.count("nothing is left") == 1
    assert table.count("had none") == 2
    assert "joy 75%" in table
    assert "text 75%, sound 25%" in table
    assert "<img" not in table
    assert "<strong>" not in table
    assert modality_table(answers[1:], ["text", "audio"], ["joy", "fear"]).count("<strong>") == 2


def test_the_sample_of_the_package_is_that_of_the_checkout() -> None:
    for path in SAMPLE.iterdir():
        assert path.read_bytes() == (CHECKOUT / "examples" / "sample_dialogue" / path.name).read_bytes()


def test_a_space_reads_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M2FNET_MODEL", "org/m2fnet-meld")
    options = _parser().parse_args(["app"])
    assert (options.model, options.asr, options.faces, options.port) == ("org/m2fnet-meld", None, None, None)
    assert _parser().parse_args(["app", "--model", "mine"]).model == "mine"


@pytest.mark.slow
def test_what_is_said_into_the_microphone_is_judged(
    browser: Any, serve: Callable[..., str], tiny_checkpoint: Path, microphone: Path, tmp_path: Path
) -> None:
    said, silence = tmp_path / "said.wav", np.zeros(2 * 22_050, np.int16)
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng, whose voice is heard, is not installed")
    subprocess.run(["espeak-ng", "-w", said, "You came! I am so happy to see you."], check=True)
    with wave.open(str(said)) as heard, wave.open(str(microphone), "wb") as file:
        file.setparams(heard.getparams())
        file.writeframes(heard.readframes(10**9) + silence.tobytes())
    visitor = Visitor(browser, serve(str(tiny_checkpoint), "none"))
    visitor.click("Live")
    (start,) = visitor.wait_for(
        "#microphone button.record-button, #microphone [aria-label='Record'], #microphone .record"
    )
    start.click()
    page = "document.querySelector('#heard iframe')?.contentDocument"
    count = f"return {page}?.querySelectorAll('.section tbody tr').length"
    wait_for(lambda: (visitor.browser.execute_script(count) or 0) >= 2, seconds=60)
    assert not visitor.all("[role=alert]")


def test_a_port_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert main(["app", "--model", str(tiny_checkpoint), "--port", str(port)]) == 1
    assert capsys.readouterr().err.endswith(f" a port that is free, found {port} in use; name another.\n")
