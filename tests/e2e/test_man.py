"""The manual page tells of every command and option of the program, and of none that it has not."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent import ROOT, untrace

PAGE = Path(__file__).resolve().parents[2] / "docs" / "untrace.1"
OPTION = re.compile(r"(?<=Fl -)[a-z][a-z-]*")
COMMON, SHOWN, CONDITIONS = "Options that most commands take", "How it is shown", "Conditions"


def sections():
    """The text of each subsection by its name, without arguments: "untrace store info"."""
    found, name = {}, None
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith(".Ss "):
            name = re.sub(r" (Ar|Op) .*", "", line[4:])
            found[name] = ""
        elif line.startswith(".Sh "):
            name = None
        elif name:
            found[name] += line + "\n"
    return found


def words(*line):
    """What the last word of a line may become."""
    lines = untrace("completion", "words", "--", "untrace", *line).stdout.splitlines()
    return [line.split("\t")[0] for line in lines[1:]]


def options_of_the_program():
    """The options of each command, as the program itself lists them for the shell."""
    commands = [name for name in words("") if name.isalpha() and name != "help"]
    commands += [f"store {name}" for name in words("store", "")]
    return {name: {option[2:] for option in words(*name.split(), "--")} - {"help"} for name in commands}


def options_in(text):
    """Those that a section explains itself, and those that it says it takes beside them."""
    explained = {option for line in text.splitlines() if line.startswith(".It ") for option in OPTION.findall(line)}
    return explained


def test_every_command_has_a_section_and_the_reverse():
    told = {name.removeprefix("untrace ") for name in sections()} - {COMMON, SHOWN, CONDITIONS}
    assert told == set(options_of_the_program())


@pytest.mark.parametrize("command", sorted(options_of_the_program()))
def test_every_option_stands_in_the_page_and_the_reverse(command):
    page = sections()
    text = page[f"untrace {command}"]
    told = options_in(text)
    intro = text.split(".Bl ")[0]
    told |= options_in(page[COMMON]) & set(OPTION.findall(intro))
    if command in ("traces", "trace", "spans", "stats", "failures"):
        told |= options_in(page[SHOWN])
    if "conditions" in intro:
        told |= options_in(page[CONDITIONS])
    assert told == options_of_the_program()[command]


def test_short_options_are_those_of_the_program():
    page = PAGE.read_text(encoding="utf-8")
    told = {(long, short) for short, long in re.findall(r"^\.It Fl ([a-zA-Z]) , Fl -([a-z-]+)", page, re.MULTILINE)}
    # What has a letter in the help has it in the page, and the reverse.
    program = {(long, short) for command in options_of_the_program() for short, long in
               re.findall(r"^  -([a-zA-Z]), --([a-z-]+)", untrace("help", *command.split()).stdout, re.MULTILINE)}
    assert told == program


def config_page(tmp_path):
    """untrace.yaml(5), as `make install` makes it."""
    page = tmp_path / "untrace.yaml.5"
    page.write_bytes(subprocess.run([ROOT / "tools" / "config-man"], capture_output=True, check=True).stdout)
    return page


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="needs mandoc")
def test_the_page_of_the_configuration_has_its_example_whole(tmp_path):
    """What is between the fences of docs/CONFIG.md, whatever line a comment stands on."""
    shown = subprocess.run(["mandoc", "-Tutf8", "-Owidth=200", config_page(tmp_path)], capture_output=True, text=True,
                           env={**os.environ, "LC_ALL": "C.UTF-8"}, check=True).stdout
    assert not re.search("^ {20,}# ", re.sub(".\b", "", shown), re.M), "a comment that goes on is one, above its line"
    shown = {" ".join(re.sub(".\b", "", line).split("  #")[0].split()) for line in shown.splitlines()}
    text = (ROOT / "docs" / "CONFIG.md").read_text(encoding="utf-8")
    keys = {" ".join(re.split(r" +# ", line)[0].split()) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
            for line in block.splitlines()}
    assert len(keys) > 30 and keys <= shown, keys - shown


@pytest.mark.skipif(shutil.which("mandoc") is None and shutil.which("groff") is None, reason="needs mandoc or groff")
def test_the_pages_are_well_formed(tmp_path):
    config = config_page(tmp_path)
    checks = [["mandoc", "-Tlint", "-W", "warning", PAGE], ["groff", "-ww", "-mandoc", "-Tutf8", "-z", PAGE],
              ["mandoc", "-Tlint", "-W", "warning", config]]
    for check in checks:
        if shutil.which(check[0]):
            done = subprocess.run(check, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
