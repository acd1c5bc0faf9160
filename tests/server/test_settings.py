from __future__ import annotations

from pathlib import Path

import pytest

from server.errors import ConfigurationError
from server.settings import Settings, load_settings


def test_environment_variables_become_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INKWASH_PORT", "9000")
    monkeypatch.setenv("INKWASH_MODELS_DIR", f"{tmp_path}/a:{tmp_path}/b, {tmp_path}/c")
    monkeypatch.setenv("INKWASH_ALLOWED_ORIGINS", "https://a.example, http://b.example:81")
    settings = load_settings()
    assert settings.port == 9000
    assert [path.name for path in settings.models_dir] == ["a", "b", "c"]
    assert settings.allowed_origins == ("https://a.example", "http://b.example:81")


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKWASH_PORT", "9000")
    assert load_settings(port=9001, host=None).port == 9001


def test_unknown_variable_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match=r"INKWASH_MODEL_DIR is not a setting; did you mean INKWASH_MODELS_DIR\?"):
        load_settings({"INKWASH_MODEL_DIR": "x"})


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("port", "http", "valid integer"),
        ("port", "70000", "less than or equal to 65535"),
        ("queue_size", "0", "greater than or equal to 1"),
        ("log_format", "xml", "'console' or 'json'"),
        ("allowed_origins", "example.org", "not an origin"),
        ("allowed_origins", "https://example.org/page", "not an origin"),
    ],
)
def test_bad_value_is_refused_with_its_rule(monkeypatch: pytest.MonkeyPatch, name: str, value: str, rule: str) -> None:
    variable = f"INKWASH_{name.upper()}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"{variable}.*{rule}"):
        load_settings()


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
