"""Configuration: published files, overrides and their mistakes."""

from pathlib import Path

import pytest

from training.config import CONFIG_FOLDER, ConfigError, load_config, parse_config


@pytest.mark.parametrize("path", sorted(CONFIG_FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_published_configuration_loads_and_is_named_after_its_file(path: Path) -> None:
    assert load_config(path).name == path.stem


def test_overrides_take_toml_values_and_bare_text() -> None:
    config = load_config(
        CONFIG_FOLDER / "emoji.toml",
        ["optimizer.batch_size=2", "data=some/where", "augment.flip=false", "loss.adversarial=lsgan"],
    )
    assert (config.optimizer.batch_size, str(config.data), config.augment.flip) == (2, "some/where", False)
    assert config.loss.adversarial == "lsgan"


def test_unknown_key_is_named() -> None:
    with pytest.raises(ConfigError, match=r"Config key 'optimizer\.batchsize' is unknown"):
        load_config(CONFIG_FOLDER / "emoji.toml", ["optimizer.batchsize=2"])


def test_wrong_type_names_key_and_value() -> None:
    with pytest.raises(ConfigError, match=r"Config key 'optimizer.batch_size' has value 'many'"):
        load_config(CONFIG_FOLDER / "emoji.toml", ["optimizer.batch_size=many"])


def test_override_without_equals_sign_is_explained() -> None:
    with pytest.raises(ConfigError, match="not of the form key=value"):
        load_config(CONFIG_FOLDER / "emoji.toml", ["optimizer.batch_size"])


def test_override_below_a_plain_value_is_explained() -> None:
    with pytest.raises(ConfigError, match="'name' is a value, not a section"):
        load_config(CONFIG_FOLDER / "emoji.toml", ["name.first=x"])


def test_missing_file_and_broken_toml_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("name = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(tmp_path / "broken.toml")


def test_paper_settings_are_the_defaults() -> None:
    config = parse_config({"name": "plain", "data": "x"})
    assert (config.generator.base_channels, config.generator.max_channels, config.generator.levels) == (64, 512, 8)
    assert (config.optimizer.learning_rate, config.optimizer.beta1, config.optimizer.batch_size) == (2e-4, 0.5, 1)
    assert (config.loss.lambda_l1, config.augment.zoom_max * 256) == (100, 286)
