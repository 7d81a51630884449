import os
from pathlib import Path

import pytest

from wardrobe.serving.errors import SettingsError
from wardrobe.serving.settings import Settings


def test_the_environment_sets_every_field() -> None:
    environment = {
        "WARDROBE_ARTIFACTS": os.pathsep.join(["mine", "theirs"]),
        "WARDROBE_MODEL": "wide",
        "WARDROBE_PORT": "9000",
        "WARDROBE_MAX_PIXELS": "1000",
    }
    settings = Settings.from_environment(environment)
    assert settings == Settings(
        artifacts=(Path("mine"), Path("theirs")), model="wide", port=9000, max_pixels=1000
    )


def test_given_values_override_the_environment_unless_they_are_none() -> None:
    environment = {"WARDROBE_PORT": "9000", "WARDROBE_HOST": "0.0.0.0"}
    settings = Settings.from_environment(environment, port=0, host=None)
    assert (settings.port, settings.host) == (0, "0.0.0.0")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("WARDROBE_PORT", "http", "WARDROBE_PORT is 'http'; it must be a whole number"),
        ("WARDROBE_PORT", "70000", "port is 70000; it must be from 0 to 65535"),
        ("WARDROBE_WORKERS", "0", "workers is 0; it must be at least 1"),
        ("WARDROBE_QUEUE", "-1", "queue is -1; it must be at least 0"),
        ("WARDROBE_DRAIN_SECONDS", "-1", "drain_seconds is -1; it must be at least 0"),
        ("WARDROBE_ACCESS_LOG", "2", "access_log is 2; it must be from 0 to 1"),
        ("WARDROBE_REPOSITORY_CHANGES", "yes", "must be 0 or 1"),
        ("WARDROBE_CORS_ORIGINS", "https://shop.example/", "which no browser sends"),
        ("WARDROBE_CORS_ORIGINS", "https://a.example, shop.example", "'shop.example', which"),
        ("WARDROBE_CORS_ORIGINS", "https://*.example", "which no browser sends"),
        ("WARDROBE_ARTIFACTS", os.pathsep, "no artifact folder is given"),
        ("WARDROBE_API_KEY", "secret\n", "the API key cannot be sent in a header"),
        ("WARDROBE_API_KEY", " ", "the API key cannot be sent in a header"),
        ("WARDROBE_API_KEY", "schlüssel", "the API key cannot be sent in a header"),
    ],
)
def test_an_invalid_value_is_one_clear_error(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_environment({variable: value})


def test_what_kubernetes_sets_for_a_service_called_wardrobe_is_passed_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    environment = {
        "WARDROBE_PORT": "tcp://10.96.0.7:80",
        "WARDROBE_PORT_80_TCP": "tcp://10.96.0.7:80",
        "WARDROBE_PORT_80_TCP_ADDR": "10.96.0.7",
        "WARDROBE_PORT_80_TCP_PORT": "80",
        "WARDROBE_PORT_80_TCP_PROTO": "tcp",
        "WARDROBE_SERVICE_HOST": "10.96.0.7",
        "WARDROBE_SERVICE_PORT": "80",
    }
    assert Settings.from_environment(environment) == Settings()
    assert "WARDROBE_PORT=tcp://10.96.0.7:80 is ignored" in caplog.text
    assert Settings.from_environment(environment, port=9000).port == 9000


def test_a_misspelt_variable_does_not_pass_unnoticed(caplog: pytest.LogCaptureFixture) -> None:
    environment = {"WARDROBE_APIKEY": "secret", "WARDROBE_WORKER": "4", "WARDROBE_DATA": "/data"}
    assert Settings.from_environment(environment).api_key is None
    assert "did you mean WARDROBE_API_KEY?" in caplog.text
    assert "did you mean WARDROBE_WORKERS?" in caplog.text
    assert len(caplog.records) == 2
    assert "secret" not in caplog.text


def test_origins_are_those_that_browsers_send() -> None:
    environment = {
        "WARDROBE_CORS_ORIGINS": "*, http://localhost:3000,app://shop,https://[::1],null"
    }
    assert len(Settings.from_environment(environment).cors_origins) == 5


def test_a_folder_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    settings = Settings.from_environment({"WARDROBE_ARTIFACTS": "~/artifacts"})
    assert settings.artifacts == (Path("/home/ada/artifacts"),)


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(Settings(api_key="secret"))
