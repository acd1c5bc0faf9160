"""A build's plan: one TOML file that says everything, typed. It builds nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.builder.collect import CollectSettings
from training.builder.cutout import CutoutSettings
from training.builder.detect import DetectSettings
from training.builder.draw import DrawSettings
from training.builder.journal import BuildError
from training.builder.pairing import PairSettings

PLAN_FOLDER = Path(__file__).parents[1] / "plans"
"""Published plans; `dataset build cats` finds `cats.toml` here."""


class BuildPlan(BaseModel):
    """What is built, from what, and how. Paths start from the folder of the plan's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="Of the set and of its build folder.")
    title: dict[str, str] = Field(description="What the pairs are, by language; `en` is needed.")
    collect: CollectSettings
    detect: DetectSettings = DetectSettings()
    cutout: CutoutSettings = CutoutSettings()
    draw: DrawSettings = DrawSettings()
    pair: PairSettings = PairSettings()


def find_plan(plan: str) -> Path:
    """The file of a plan, or of the published one of that name.

    Raises:
        BuildError: There is neither.
    """
    published = PLAN_FOLDER / f"{plan}.toml"
    path = published if "/" not in plan and published.is_file() and not Path(plan).is_file() else Path(plan)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in PLAN_FOLDER.glob("*.toml")))
        raise BuildError(f"Plan '{plan}' is neither a file nor a published plan; published: {known}.")
    return path


def read_plan(path: Path) -> BuildPlan:
    """Reads a plan.

    Raises:
        BuildError: The file cannot be read, a key is unknown or a value breaks a rule; the message names it.
    """
    try:
        plan = BuildPlan.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise BuildError(f"Plan '{path}' cannot be read ({error.strerror}); give the path of a .toml file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BuildError(f"Plan '{path}' is not valid TOML: {error}.") from error
    except ValidationError as error:
        faults = "\n".join(f"  {'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors())
        raise BuildError(f"Plan '{path}' says what cannot be done:\n{faults}") from error
    if "en" not in plan.title:
        raise BuildError(f"Plan '{path}': title has no 'en'; add title.en, a few words in English.")
    return plan
