"""The page in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="needs Chromium and chromedriver on the PATH"
)
ARGUMENTS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
    " --disable-dev-shm-usage"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ARGUMENTS.split():
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, server) -> webdriver.Chrome:
    browser.get(server.url)
    WebDriverWait(browser, 10).until(lambda _: len(options(browser)) > 1)
    return browser


@pytest.fixture
def picture(tmp_path: Path, encode, band) -> Path:
    path = tmp_path / "boot.png"
    garment = band(6)
    garment[[0, -1], 4:24] = 100  # spans the frame, so that the band stays where it is
    path.write_bytes(encode(255 - garment.repeat(5, axis=0).repeat(5, axis=1)))
    return path


def options(page: webdriver.Chrome) -> list[str]:
    return [option.text for option in page.find_elements(By.CSS_SELECTOR, "#model option")]


def answers(page: webdriver.Chrome, count: int) -> list[dict[str, str]]:
    """What the cards say, newest first, once there are `count` of them."""

    def told(_: object) -> bool:
        return len(page.find_elements(By.CSS_SELECTOR, ".answer[aria-busy=false]")) == count

    WebDriverWait(page, 10).until(told)
    return [
        {
            name: card.find_element(By.CSS_SELECTOR, f".{name}").text
            for name in ("name", "label", "by")
        }
        for card in page.find_elements(By.CSS_SELECTOR, ".answer")
    ]


def choose(page: webdriver.Chrome, *paths: Path) -> None:
    page.find_element(By.ID, "files").send_keys("\n".join(map(str, paths)))


def test_a_chosen_picture_is_shown_with_its_answer(page, picture: Path) -> None:
    choose(page, picture)
    (answer,) = answers(page, 1)
    assert answer == {"name": "boot.png", "label": "band 6", "by": "bands, version 2"}
    shares = [share.text for share in page.find_elements(By.CSS_SELECTOR, ".share")]
    assert len(shares) == 5
    assert all(share.endswith(" %") for share in shares)
    bars = [bar.rect["width"] for bar in page.find_elements(By.CSS_SELECTOR, ".bar")]
    assert bars == sorted(bars, reverse=True)
    assert page.execute_script("return document.querySelector('.sent').naturalWidth") == 140
    seen = page.find_element(By.CSS_SELECTOR, "canvas")
    assert (seen.get_property("width"), seen.get_property("height")) == (28, 28)


def test_several_pictures_and_a_file_that_is_none(page, picture: Path) -> None:
    text = picture.with_name("notes.txt")
    text.write_text("no picture")
    choose(page, picture, text)
    none, boot = answers(page, 2)
    assert (none["name"], boot["name"]) == ("notes.txt", "boot.png")
    assert "no PNG, JPEG, WebP, GIF or BMP" in none["label"]


def test_the_model_can_be_chosen(page, picture: Path) -> None:
    assert "bands, version 1" in options(page)
    assert not any("a-table" in option for option in options(page))
    page.find_element(By.ID, "model").send_keys("plain")
    choose(page, picture)
    assert answers(page, 1)[0]["by"] == "plain, version 7"


def test_what_is_not_served_is_said_with_the_reason(page) -> None:
    notice = page.find_element(By.ID, "notice").text
    assert "bands, version 5: TensorFlow cannot load it" in notice


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(page, picture: Path, event: str) -> None:
    page.execute_script(
        """
        const [bytes, event] = arguments;
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "given.png", {type: "image/png"}));
        const options = {bubbles: true, cancelable: true};
        document.body.dispatchEvent(event === "drop"
            ? new DragEvent("drop", {...options, dataTransfer: transfer})
            : new ClipboardEvent("paste", {...options, clipboardData: transfer}));
        """,
        list(picture.read_bytes()),
        event,
    )
    assert answers(page, 1)[0]["name"] == "given.png"


def test_the_keyboard_reaches_everything_in_order(page) -> None:
    reached = []
    for _ in range(2):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.append(page.switch_to.active_element.get_attribute("id"))
    assert reached == ["files", "model"]


def test_a_telephone_need_not_scroll_sideways(page, picture: Path) -> None:
    page.set_window_size(500, 800)
    try:
        choose(page, picture)
        answers(page, 1)
        width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.execute_script(width) == 0
    finally:
        page.set_window_size(1200, 900)


def test_the_browser_has_nothing_to_complain_of(page, picture: Path) -> None:
    page.get_log("browser")
    choose(page, picture)
    answers(page, 1)
    assert page.get_log("browser") == []
