"""The page in a real browser."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
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


CONTRASTS = """
    const channels = (colour) => {
        const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
        const pen = canvas.getContext("2d");
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        return [...pen.getImageData(0, 0, 1, 1).data].map((level) => level / 255);
    };
    const luminance = (colour) => {
        const linear = channels(colour).slice(0, 3).map(
            (level) => level <= 0.03928 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const ground = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        const shows = channels(colour)[3] > 0;
        return shows || !element.parentElement ? colour : ground(element.parentElement);
    };
    const ratios = {};
    for (const element of document.querySelectorAll("main *, header *")) {
        const text = [...element.childNodes].filter((node) => node.nodeType === 3)
            .map((node) => node.data.trim()).join("");
        if (!text || !element.checkVisibility() || element.closest(".unseen, option")) continue;
        const both = [luminance(getComputedStyle(element).color), luminance(ground(element))];
        ratios[text] = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    }
    return ratios;
"""


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

    def all_answered(_: object) -> bool:
        return len(page.find_elements(By.CSS_SELECTOR, ".answer[aria-busy=false]")) == count

    WebDriverWait(page, 10).until(all_answered)
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


def test_where_a_key_is_set_the_page_asks_for_it(browser, start, good, picture: Path) -> None:
    browser.get(start([good], 1, API_KEY="secret", MODEL="bands").url)
    key = browser.find_element(By.ID, "key")
    WebDriverWait(browser, 10).until(lambda _: key.is_displayed())
    choose(browser, picture)
    key.send_keys("guess", Keys.ENTER)
    wrong = browser.find_element(By.ID, "wrong")
    WebDriverWait(browser, 10).until(lambda _: wrong.is_displayed())
    key.clear()
    key.send_keys("secret", Keys.ENTER)
    (answer,) = answers(browser, 1)
    assert answer["label"] == "band 6"
    assert not wrong.is_displayed()
    choose(browser, picture)
    assert len(answers(browser, 2)) == 2


def test_several_pictures_and_a_file_that_is_not_one(page, picture: Path) -> None:
    text = picture.with_name("notes.txt")
    text.write_text("no picture")
    choose(page, picture, text)
    none, boot = answers(page, 2)
    assert (none["name"], boot["name"]) == ("notes.txt", "boot.png")
    assert "not a PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF or HEIC" in none["label"]


def test_the_model_can_be_chosen(page, picture: Path) -> None:
    assert "bands, version 1" in options(page)
    assert not any("a-table" in option for option in options(page))
    page.find_element(By.ID, "model").send_keys("plain")
    choose(page, picture)
    assert answers(page, 1)[0]["by"] == "plain, version 7"


def test_a_model_that_is_not_served_is_shown_with_the_reason(page) -> None:
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
    has_camera = page.find_element(By.CSS_SELECTOR, ".camera").is_displayed()
    wanted = ["files", *(["camera"] if has_camera else []), "draw", "model"]
    for _ in wanted:
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.append(page.switch_to.active_element.get_attribute("id"))
    assert reached == wanted


def test_attribution_is_blue_where_a_pixel_supports_the_label(page, picture: Path) -> None:
    choose(page, picture)
    answers(page, 1)
    pixels = page.execute_script(
        """
        const canvas = document.querySelector(".attribution canvas");
        const {data} = canvas.getContext("2d").getImageData(0, 0, 28, 28);
        return {band: [...data.slice(4 * (17 * 28 + 14), 4 * (17 * 28 + 15))], corner: data[3]};
        """
    )
    red, _, blue, alpha = pixels["band"]
    assert blue > red
    assert alpha > 200
    assert pixels["corner"] == 0
    caption = page.find_element(By.CSS_SELECTOR, ".attribution figcaption").text
    assert caption == "supports or contradicts it"


def test_a_model_without_attribution_says_so(page, picture: Path) -> None:
    page.find_element(By.ID, "model").send_keys("plain")
    choose(page, picture)
    answers(page, 1)
    assert "cannot say" in page.find_element(By.CSS_SELECTOR, ".attribution figcaption").text
    assert not page.find_element(By.CSS_SELECTOR, ".attribution canvas").is_displayed()


def test_a_garment_can_be_drawn(page) -> None:
    page.find_element(By.ID, "draw").click()
    sheet = page.find_element(By.ID, "sheet")
    pen = ActionChains(page).move_to_element_with_offset(sheet, -60, -80).click_and_hold()
    pen.move_by_offset(0, 150).move_by_offset(100, 0).release().perform()
    page.find_element(By.ID, "hand-in").click()
    (answer,) = answers(page, 1)
    assert answer["name"] == "drawing 1"
    assert answer["label"].startswith("band")
    assert not page.find_element(By.ID, "easel").is_displayed()


def test_a_garment_can_be_drawn_with_the_keyboard(page) -> None:
    page.find_element(By.ID, "draw").send_keys(Keys.ENTER)
    assert page.switch_to.active_element.get_attribute("id") == "sheet"
    page.switch_to.active_element.send_keys(Keys.SHIFT, *[Keys.ARROW_DOWN] * 12)
    page.find_element(By.ID, "hand-in").send_keys(Keys.ENTER)
    assert answers(page, 1)[0]["name"].startswith("drawing")


def around(page: webdriver.Chrome, x: int, y: int) -> np.ndarray:
    """Luminance of the sheet as the screen shows it, in the 24 pixels around a place of it."""
    shown = Image.open(io.BytesIO(page.find_element(By.ID, "sheet").screenshot_as_png))
    scale = shown.width / 280
    column, row = round(x * scale), round(y * scale)
    return np.asarray(shown.convert("L"), int)[row - 12 : row + 12, column - 12 : column + 12]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pen_shows_where_it_is_while_keys_move_it(page, scheme: str) -> None:
    in_scheme(page, scheme)
    page.find_element(By.ID, "draw").send_keys(Keys.ENTER)
    assert np.ptp(around(page, 140, 60)) > 100  # on white paper
    page.switch_to.active_element.send_keys(Keys.SHIFT, *[Keys.ARROW_DOWN] * 10)
    assert np.ptp(around(page, 140, 140)) > 100  # on what it drew
    assert np.ptp(around(page, 140, 100)) < 5
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert np.ptp(around(page, 140, 140)) < 5


def test_with_a_pointer_no_other_pen_is_shown(page) -> None:
    page.find_element(By.ID, "draw").click()
    sheet = page.find_element(By.ID, "sheet")
    ActionChains(page).move_to_element(sheet).click().perform()
    cursor = page.find_element(By.ID, "cursor")
    assert not cursor.is_displayed()
    sheet.send_keys(Keys.ARROW_RIGHT)
    assert cursor.is_displayed()
    ActionChains(page).move_to_element(sheet).click().perform()
    assert not cursor.is_displayed()


def test_an_empty_sheet_is_reported_as_blank(page) -> None:
    page.find_element(By.ID, "draw").click()
    page.find_element(By.ID, "hand-in").click()
    assert "blank" in answers(page, 1)[0]["label"]


def test_several_pictures_are_side_by_side(page, picture: Path) -> None:
    others = [picture.with_name(f"{number}.png") for number in range(3)]
    for other in others:
        other.write_bytes(picture.read_bytes())
    choose(page, *others)
    answers(page, 3)
    cards = page.find_elements(By.CSS_SELECTOR, ".answer")
    assert len({card.rect["x"] for card in cards}) > 1


def test_predictions_are_read_aloud(page, picture: Path) -> None:
    choose(page, picture)
    answers(page, 1)
    announcement = page.find_element(By.ID, "announcement")
    assert announcement.get_attribute("aria-live") == "polite"
    assert announcement.get_attribute("textContent").startswith("boot.png: band 6, ")


def test_a_server_that_is_gone_is_reported_in_words(page, picture: Path) -> None:
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.execute_cdp_cmd("Network.enable", {})
    page.execute_cdp_cmd("Network.emulateNetworkConditions", offline | {"offline": True})
    try:
        choose(page, picture)
        error = answers(page, 1)[0]["label"]
    finally:
        page.execute_cdp_cmd("Network.emulateNetworkConditions", offline | {"offline": False})
    assert error == "The server does not answer; send the picture again in a moment."


def in_scheme(page: webdriver.Chrome, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(page, picture: Path, scheme: str) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    in_scheme(page, scheme)
    choose(page, picture)
    answers(page, 1)
    ratios = page.execute_script(CONTRASTS)
    assert len(ratios) > 10
    assert {text: ratio for text, ratio in ratios.items() if ratio < 4.5} == {}


def test_a_phone_need_not_scroll_sideways(page, picture: Path) -> None:
    page.set_window_size(500, 800)
    try:
        choose(page, picture)
        answers(page, 1)
        width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.execute_script(width) == 0
    finally:
        page.set_window_size(1200, 900)


def test_the_browser_logs_no_errors(page, picture: Path) -> None:
    page.get_log("browser")
    choose(page, picture)
    answers(page, 1)
    assert page.get_log("browser") == []
