"""The lab in a real browser: declare, train, watch, export."""

from __future__ import annotations

import base64
import io
import re
import threading
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.serving.test_page import ARGUMENTS, CHROMEDRIVER, CHROMIUM, CONTRASTS, in_scheme
from wardrobe.training.lab.app import listen
from wardrobe.training.lab.session import Sessions

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="needs Chromium and chromedriver on the PATH"
)

SHORT = """\
name: mine
data: moons
model:
  layers:
  - Dense: {units: 3, activation: tanh}
  head: {activation: sigmoid}
optimizer:
  Adam: {learning_rate: 0.02}
training: {epochs: 4, batch_size: 500, validation: 0.2}
"""


@pytest.fixture(scope="module")
def sessions() -> Iterator[Sessions]:
    sessions = Sessions("tensorflow")
    yield sessions
    sessions.end_all()


@pytest.fixture(scope="module")
def url(sessions: Sessions) -> Iterator[str]:
    server = listen(sessions, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (*ARGUMENTS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    driver.set_window_size(1280, 900)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def opened(browser: webdriver.Chrome, url: str) -> webdriver.Chrome:
    """The page with a process that is ready: one for most tests, as it takes seconds to start."""
    browser.get(url)
    wait(browser, lambda: find(browser, "train").is_enabled())
    return browser


@pytest.fixture
def page(opened: webdriver.Chrome) -> webdriver.Chrome:
    write(opened, SHORT)
    return opened


def find(page: webdriver.Chrome, name: str) -> Any:
    return page.find_element(By.ID, name)


def field(page: webdriver.Chrome, name: str) -> Any:
    return page.find_element(By.CSS_SELECTOR, f"#form [name={name}]")


def wait(page: webdriver.Chrome, condition: Any, seconds: int = 60) -> Any:
    return WebDriverWait(page, seconds).until(lambda _: condition())


def text_of(page: webdriver.Chrome) -> str:
    return str(find(page, "yaml").get_property("value"))


def errors(page: webdriver.Chrome) -> list[str]:
    return [one.text for one in page.find_elements(By.CSS_SELECTOR, "#errors button")]


def held_by_link(page: webdriver.Chrome) -> str:
    fragment = page.current_url.partition("#")[2]
    return base64.urlsafe_b64decode(fragment + "=" * (-len(fragment) % 4)).decode()


def write(page: webdriver.Chrome, text: str) -> None:
    """Types a declaration, as far as the page can tell, and waits until it is checked."""
    page.execute_script(
        "const box = document.getElementById('yaml'); box.value = arguments[0];"
        "box.dispatchEvent(new Event('input'));",
        text,
    )
    wait(page, lambda: held_by_link(page) == text)


def finish(page: webdriver.Chrome) -> None:
    wait(page, lambda: find(page, "export").get_attribute("href"))


def epoch(page: webdriver.Chrome) -> int:
    found = re.search(r"epoch (\d+)", find(page, "status").text)
    return int(found[1]) if found else 0


def resting(page: webdriver.Chrome) -> int:
    """The epoch at which a training stands still."""
    while True:
        before = epoch(page)
        time.sleep(1)
        if epoch(page) == before:
            return before


def test_form_and_text_are_always_the_same(page: webdriver.Chrome) -> None:
    assert field(page, "layers").get_property("value") == "3"
    Select(field(page, "activation")).select_by_value("relu")
    wait(page, lambda: "activation: relu" in text_of(page))
    units = field(page, "layers")
    units.clear()
    units.send_keys("8, 4", Keys.ENTER)
    wait(page, lambda: "units: 4" in text_of(page))
    write(page, text_of(page).replace("relu", "sigmoid"))
    assert field(page, "activation").get_property("value") == "sigmoid"
    assert held_by_link(page) == text_of(page)


def test_an_error_is_told_at_its_line(page: webdriver.Chrome) -> None:
    write(page, SHORT.replace("epochs: 4", "epoch: 4"))
    (error,) = errors(page)
    assert error.startswith("line 9: ")
    assert "did you mean 'epochs'?" in error
    assert page.find_element(By.CSS_SELECTOR, "#lines b").text == "9"
    assert not find(page, "train").is_enabled()
    page.find_element(By.CSS_SELECTOR, "#errors button").click()
    start = page.execute_script("return document.getElementById('yaml').selectionStart")
    assert SHORT[:start].count("\n") == 8


def test_rows_of_the_lecture_can_be_chosen(page: webdriver.Chrome) -> None:
    start = Select(find(page, "start"))
    start.select_by_visible_text("6 · How many hidden units are needed")
    wait(page, lambda: "data: rings" in text_of(page))
    Select(find(page, "variant")).select_by_visible_text("units: 5")
    wait(page, lambda: field(page, "layers").get_property("value") == "5")
    assert find(page, "about").text.startswith("More hidden units often learn more easily.")


def test_a_training_is_watched_paused_stepped_and_exported(page: webdriver.Chrome) -> None:
    write(page, SHORT.replace("epochs: 4", "epochs: 5000"))
    Select(find(page, "seeds")).select_by_value("2")
    find(page, "train").click()
    wait(page, lambda: epoch(page) >= 1)
    find(page, "pause").click()
    at = resting(page)
    rate = find(page, "rate")
    rate.send_keys("0.5", Keys.TAB)
    find(page, "step").click()
    wait(page, lambda: epoch(page) > at)
    assert resting(page) == at + 1
    find(page, "numbers").click()
    wait(page, lambda: "0.5000" in find(page, "numbers").text)
    panels = page.find_elements(By.CSS_SELECTOR, ".panel")
    assert [panel.text.split(" · ")[0] for panel in panels] == ["seed 1", "seed 2"]
    assert len(page.find_elements(By.CSS_SELECTOR, "#units canvas")) == 3
    colours = page.execute_script(
        "const canvas = document.querySelector('.panel canvas');"
        "const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);"
        "return new Set(data).size"
    )
    assert colours > 50
    find(page, "finish").click()
    finish(page)
    with urllib.request.urlopen(find(page, "export").get_attribute("href")) as answer:
        names = zipfile.ZipFile(io.BytesIO(answer.read())).namelist()
    assert "declaration.yaml" in names
    assert any(re.fullmatch(r"artifacts/mine/2/saved_model.pb", name) for name in names)
    assert sum(name.endswith("/run.json") and name.startswith("runs/") for name in names) == 2
    Select(find(page, "seeds")).select_by_value("1")


def test_the_keyboard_trains_and_chooses_a_seed(page: webdriver.Chrome) -> None:
    Select(find(page, "seeds")).select_by_value("2")
    find(page, "yaml").send_keys(Keys.CONTROL, Keys.ENTER)
    finish(page)
    page.find_element(By.CSS_SELECTOR, ".panel").send_keys(Keys.ARROW_RIGHT)
    assert page.switch_to.active_element.text.startswith("seed 2")
    assert find(page, "status").text.startswith("seed 2")
    Select(find(page, "seeds")).select_by_value("1")


def test_the_keyboard_reaches_every_control_in_order(page: webdriver.Chrome) -> None:
    find(page, "start").click()
    ActionChains(page).send_keys(Keys.ESCAPE).perform()
    reached = []
    for _ in range(40):
        ActionChains(page).send_keys(Keys.TAB).perform()
        element = page.switch_to.active_element
        reached.append(element.get_attribute("name") or element.get_attribute("id"))
    wanted = ["data", "layers", "optimizer", "seed", "batch_norm", "yaml", "link", "train", "seeds"]
    assert [name for name in reached if name in wanted][: len(wanted)] == wanted


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(page: webdriver.Chrome, scheme: str) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    in_scheme(page, scheme)
    write(page, SHORT.replace("epochs: 4", "epoch: 4"))
    ratios = page.execute_script(CONTRASTS)
    assert len(ratios) > 20
    assert {text: ratio for text, ratio in ratios.items() if ratio < 4.5} == {}


def test_on_a_telephone_nothing_is_cut_off_or_too_small(page: webdriver.Chrome) -> None:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        find(page, "train").click()
        finish(page)
        width = "return document.documentElement.scrollWidth"
        assert page.execute_script(width) == 390
        small = page.execute_script(
            "return [...document.querySelectorAll('button, select, textarea, a, summary, label')]"
            ".filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 43.5"
            " && one.htmlFor !== 'yaml').map((one) => one.outerHTML)"
        )
        assert small == []
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_browser_logs_no_errors(page: webdriver.Chrome) -> None:
    assert page.get_log("browser") == []


def test_a_link_holds_the_declaration_and_two_tabs_do_not_disturb_each_other(
    page: webdriver.Chrome, sessions: Sessions
) -> None:
    (first,) = sessions._open.values()
    link, own = page.current_url, page.current_window_handle
    page.switch_to.new_window("tab")
    page.get(link)
    wait(page, lambda: find(page, "train").is_enabled())
    assert text_of(page) == SHORT
    write(page, SHORT.replace("units: 3", "units: 7"))
    second = next(each for name, each in sessions._open.items() if name != first.name)
    find(page, "train").click()
    finish(page)
    page.close()
    page.switch_to.window(own)
    wait(page, lambda: not second.process.is_alive() and not second.folder.exists())
    assert first.process.is_alive()
    assert text_of(page) == SHORT
