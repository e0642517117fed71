"""What the pages say holds: links lead somewhere, and quoted commands and options exist."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar
from unittest.mock import patch

import pytest
import tyro
import yaml

from docs.generators import links, options, reference, tables
from robot_rlhf import datatypes, episode, ports
from robot_rlhf.apps import cli, command
from robot_rlhf.apps.ros import MODULES as NODES
from robot_rlhf.apps.train_command import TrainOptions
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.naming import OfKind
from robot_rlhf.run.results.summary import KEYS
from robot_rlhf.run.setting_values import check_values
from tests.test_layers import ROOT

FOLDERS = ("docs", "benchmarks", "datasets", "examples", "hardware", "launch", "robot_rlhf", "sim")
PAGES = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])
NOW = [page for page in PAGES if page.name != "CHANGELOG.md" and page.parent.name != "results"]
"""Pages that say how things are, not how they were."""
FENCE = re.compile(
    r"^ *```(?P<kind>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
OTHERS = (
    "--qos-durability",
    "--log-level",
    "--log-config-file",
    "--enclave",
    "--symlink-install",
    "--hardware",
    "--dry-run",
)
"""Options of other programs that pages name."""


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


# -- links -----------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """What links may name behind a page's hash sign, as GitHub and MkDocs both make it of a heading."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links.targets(text_of(page)):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        made = page.is_relative_to(ROOT / "docs") and is_made(there)
        assert there.exists() or made, f"{ids(page)}: {target} leads nowhere"
        assert not anchor or made or anchor in anchors(there), f"{ids(page)}: {target}: no such heading"


def is_made(path: Path) -> bool:
    """Whether the site makes this page of the code."""
    name = path.relative_to(ROOT / "docs").as_posix() if path.is_relative_to(ROOT / "docs") else ""
    return name in made()


@cache
def made() -> frozenset[str]:
    outside = set(links.PAGES.values())
    named = {f"{folder}/{n}" for folder, pages in (("cli", options.pages()), ("api", reference.pages())) for n in pages}
    return frozenset(outside | named)


def test_links_of_the_repository_become_those_of_the_site() -> None:
    text = "[a](docs/people.md#b) [c](LICENSE) ![d](benchmarks/results/growth.png) [e](https://e.org) `[f](g)`"
    there = links.for_the_site(text, "index.md")
    assert there == ("[a](people.md#b) c (`LICENSE`) ![d](results/figures/growth.png) [e](https://e.org) `[f](g)`")
    assert links.for_the_site("[a](../hardware/README.md)", "operator.md") == "[a](devices.md)"
    assert links.for_the_site("[a](../docs/ros2.md#9-b)", "recordings.md") == "[a](ros2.md#9-b)"


def test_the_site_has_every_page() -> None:
    nav = yaml.safe_load(text_of(ROOT / "mkdocs.yml"))["nav"]
    listed = set(_leaves(nav))
    written = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert listed - {"cli", "api"} == written | set(links.PAGES.values())


def _leaves(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from _leaves(entry)


def test_every_table_that_a_page_asks_for_is_made() -> None:
    for page in PAGES:
        asked = tables.MARK.findall(text_of(page))
        assert set(asked) <= set(tables.MADE), ids(page)
    assert "| `near(tool, cube)` | yes or no | the tool is near the cube |" in tables.facts()


def test_the_first_page_is_short() -> None:
    assert len(text_of(ROOT / "README.md").split()) <= 1_200


# -- commands --------------------------------------------------------------------------------------------------------


class _ParsedError(Exception):
    """Ends a command where it has read its options."""


def quoted(page: Path) -> list[str]:
    """The command lines of robot-rlhf that a page quotes: in blocks of code, and between backticks."""
    text = text_of(page)
    found: list[str] = []
    for block in FENCE.finditer(text):
        lines = block["text"].replace("\\\n", " ").splitlines()
        found += [line for line in lines if re.match(r" *(?:\$ )?robot-rlhf ", line)]
    found += [span.replace("\\|", "|") for span in re.findall(r"`(robot-rlhf [^`]+)`", FENCE.sub("", text))]
    return [line.strip().removeprefix("$ ") for line in found]


def words_of(line: str) -> list[str] | None:
    """The words behind robot-rlhf; None where a line is a pattern rather than a command."""
    words = shlex.split(line.replace("\n", " "), comments=True)[1:]
    if not words or "|" in line or any(word in ("COMMAND", "NODE", "...", "…") for word in words):
        return None
    return [word.removesuffix(",") for word in words]


QUOTED = [(page, line) for page in NOW for line in dict.fromkeys(quoted(page))]


@pytest.mark.parametrize(("page", "line"), QUOTED, ids=[f"{ids(page)}: {line}" for page, line in QUOTED])
def test_a_quoted_command_is_read(page: Path, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = words_of(line.replace(" /path/", " "))
    if words is None:
        return
    monkeypatch.chdir(tmp_path)
    _lay_out(tmp_path, words)
    write_files(page, tmp_path)
    if words[0] == "ros":
        assert len(words) < 2 or words[1].replace("-", "_") in (*NODES, "params"), line
        return
    whole = len(words) > 1 and any(word.startswith("-") or word.isupper() for word in words[1:])
    with patch.object(command, "check_values", _checked_and_over):
        try:
            cli._dispatch(words)  # pyright: ignore[reportPrivateUsage]  as a command line goes
        except (_ParsedError, SystemExit):  # --help ends in the latter
            return
        except UnknownNameError as error:
            pytest.fail(f"{ids(page)}: {line}: {error}")
        except ConfigError as error:  # prose names a command without all it needs: that it exists is enough then
            if whole:
                pytest.fail(f"{ids(page)}: {line}: {error}")


def write_files(page: Path, folder: Path) -> None:
    """The files that a page shows whole."""
    for block in FENCE.finditer(text_of(page)):
        if block["title"]:
            (folder / block["title"]).write_text(block["text"], encoding="utf-8")


def _checked_and_over(settings: Any) -> None:
    check_values(settings)
    raise _ParsedError


def _lay_out(folder: Path, words: list[str]) -> None:
    """The files that a quoted line takes for given."""
    run = folder / "RUN"
    run.mkdir()
    (run / "config.yaml").write_text("console: {}\nmode: asynchronous\n", encoding="utf-8")
    for word in words:
        if word.endswith((".yaml", ".safetensors")) and not word.startswith("RUN"):
            (folder / word).write_text("person: {}\n", encoding="utf-8")


def test_options_that_pages_name_exist() -> None:
    known = {
        name
        for one in options.commands()
        for section in options.sections(one.settings, one.default)
        for option in section.options
        for name in (option.name, *option.aliases)
    }
    known |= {"--help", "--version", *OTHERS} | {name.rpartition(".")[0] + ".*" for name in known if "." in name}
    known |= set(re.findall(r"--[a-z-]+", options.pages()["ros.md"]))
    for page in NOW:
        prose = FENCE.sub("", text_of(page))
        spans = [
            span for span in re.findall(r"`([^`]+)`", prose) if not re.match(r"(?:python|openssl|pip|ros2|make) ", span)
        ]
        for name in {name for span in spans for name in re.findall(r"(?<![\w-])--[a-z][\w.*-]*", span)}:
            parent = name.endswith(".") or any(one.startswith(name + ".") for one in known)
            assert name in known or parent, f"{ids(page)}: no option {name}"


def test_targets_of_make_and_programs_that_pages_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    for page in NOW:
        text = text_of(page)
        for target in re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE):
            assert target in targets, f"{ids(page)}: make {target}"
        for name in re.findall(r"python -m (benchmarks[\w.]*)", text):
            path = ROOT / name.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{ids(page)}: {name}"


# -- parts of one's own ----------------------------------------------------------------------------------------------

SHORT = ("--steps", "40", "--demonstrations", "1", "--evaluation.every", "0", "--evaluation.final-episodes", "1")
SHORT += ("--video-episodes", "0", "--trainer.warm-start-updates", "5", "--quiet")
OWN = [page for page in PAGES if any(block["title"] for block in FENCE.finditer(text_of(page)))]


@pytest.mark.parametrize("page", OWN, ids=ids)
def test_files_that_a_page_shows_do_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    write_files(page, tmp_path)
    lines = [line for line in quoted(page) if re.search(r"\w+\.py:\w+", line)]
    assert lines
    for line in lines:
        words = words_of(line)
        assert words is not None
        assert cli.main([*words, *SHORT]) == 0, capsys.readouterr().err
    for summary in tmp_path.glob("runs/*/summary.json"):
        assert set(json.loads(summary.read_text(encoding="utf-8"))) == set(KEYS)


# -- pages that are made ---------------------------------------------------------------------------------------------


def test_the_page_of_a_command_has_the_options_that_its_help_has(capsys: pytest.CaptureFixture[str]) -> None:
    for one in options.commands():
        with pytest.raises(SystemExit):
            command.parse(one.settings, one.name, ["--help"], one.default)
        told = set(re.findall(r"(?:^|[ ,|│])(--[a-z][\w.-]*)", capsys.readouterr().out.partition(" options ")[2]))
        mine = {
            name
            for section in options.sections(one.settings, one.default)
            for option in section.options
            for name in (option.name, *option.aliases)
            if name.startswith("--") and section.begins
        }
        assert mine <= told | {"--help"}, (one.name, sorted(mine - told))


def test_defaults_as_they_are_told_are_the_defaults() -> None:
    default = next(one.default for one in options.commands() if one.name == "train")
    words: list[str] = []
    for section in options.sections(TrainOptions, default):
        for option in section.options if section.begins else ():
            if option.default is not None and option.kind and option.default not in ("", "None"):
                words += [option.name, *option.default.split(" ")]
    assert command.parse(TrainOptions, "train", words, default) == default


@dataclass(frozen=True)
class Family(OfKind):
    KINDS: ClassVar[Mapping[str, str]] = {"plain": "tests.test_docs:Plain", "fancy": "tests.test_docs:Fancy"}
    WHAT: ClassVar[str] = "thing"


@dataclass(frozen=True)
class Plain(Family):
    kind: ClassVar[str] = "plain"
    size: int = 1


@dataclass(frozen=True)
class Fancy(Family):
    kind: ClassVar[str] = "fancy"
    colour: str = "red"


@dataclass(frozen=True)
class Chooses:
    chosen: Annotated[str, tyro.conf.arg(name="thing")] = "plain"
    thing: Family = field(default_factory=lambda: Plain(2))
    flat: Annotated[Family, tyro.conf.arg(name="")] = field(default_factory=Fancy)


def test_every_kind_of_a_family_has_its_options() -> None:
    with patch.dict(sys.modules, {"tests.test_docs": sys.modules[__name__]}):
        own, plain, fancy, other = options.sections(Chooses, Chooses())
    assert [option.name for option in own.options] == ["--thing", "--colour"]
    assert (other.choice, other.begins, other.options[0].name) == ("--flat plain", False, "--size")
    assert (plain.choice, plain.begins, plain.options[0].name, plain.options[0].default) == (
        "--thing plain",
        True,
        "--thing.size",
        "2",
    )
    assert (fancy.choice, fancy.begins, fancy.options[0].name) == ("--thing fancy", False, "--thing.colour")


def test_an_option_has_its_field_s_text_and_default() -> None:
    found = {
        option.name: option for section in options.sections(TrainOptions, TrainOptions()) for option in section.options
    }
    assert found["--steps"].what == "Practice steps, the person's included."
    assert found["--steps"].default == "5000"
    assert found["--pixels"].aliases == ("--no-pixels",)
    assert found["--pixels"].default == "--no-pixels"


def test_every_example_is_short_and_run_by_a_test() -> None:
    tests = "".join(text_of(path) for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))
    for example in (ROOT / "examples").glob("*.py"):
        assert len(text_of(example).splitlines()) <= 60, example.name
        assert example.stem in tests, f"{example.name}: no test runs it"


def test_nouns_and_ports_that_the_concepts_name_exist() -> None:
    for row in re.findall(r"^\| `(\w+)` \|", text_of(ROOT / "docs" / "concepts" / "nouns.md"), re.MULTILINE):
        assert any(hasattr(module, row) for module in (datatypes, episode, ports)), row
