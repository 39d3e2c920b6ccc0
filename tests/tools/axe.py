"""axe-core in the tests' browser: what keeps people from using a page."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

RUN = (
    "const done = arguments[arguments.length - 1];"
    "axe.run({iframes: false}).then(done, (error) => done({error: String(error)}))"
)


@contextmanager
def screen(browser: Any, width: int, scheme: str) -> Iterator[None]:
    """A window of this width, of somebody who likes pages light or dark."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    preference = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": preference})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def violations(browser: Any) -> list[str]:
    """Each rule that the page of a Selenium driver breaks, with the elements that break it."""
    script = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    browser.execute_script(script)
    results = browser.execute_async_script(RUN)
    assert "error" not in results, results["error"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in results["violations"]
        for node in rule["nodes"]
    ]
