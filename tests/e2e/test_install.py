"""`make install`: what it lays down, that it never replaces a configuration, and what systemd says of it."""

import os
import re
import shutil
import subprocess

import pytest

from agent import ROOT, untrace

pytestmark = pytest.mark.skipif("UNTRACE" in os.environ, reason="another program than this tree's is tested")
BESIDES = ROOT / "port" / "linux" / "install"


def make(*arguments):
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make", "-s", "-C", ROOT, *arguments], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = tmp_path_factory.mktemp("installed")
    make("install", f"DESTDIR={root}", "PREFIX=/usr")
    return root


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_everything_is_laid_down_and_taken_away_but_the_configuration(tmp_path):
    config = tmp_path / "etc" / "untrace" / "untrace.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("data_dir: /mine\n")
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert files(tmp_path) == {
        "etc/untrace/untrace.yaml", "usr/bin/untrace", "usr/share/man/man1/untrace.1", "usr/share/man/man5/untrace.yaml.5",
        "usr/share/bash-completion/completions/untrace", "usr/share/zsh/site-functions/_untrace",
        "usr/share/fish/vendor_completions.d/untrace.fish", "usr/lib/systemd/system/untrace.service",
        "usr/lib/sysusers.d/untrace.conf", "usr/lib/tmpfiles.d/untrace.conf"}
    assert all(path.stat().st_size > 0 for path in tmp_path.rglob("*") if path.is_file())
    for shell, path in (("bash", "bash-completion/completions/untrace"), ("zsh", "zsh/site-functions/_untrace")):
        assert (tmp_path / "usr/share" / path).read_text() == untrace("completion", shell).stdout
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert files(tmp_path) == {"etc/untrace/untrace.yaml"}
    assert config.read_text() == "data_dir: /mine\n"


def check(text, folder):
    """What `untrace check` says of a configuration, moved to a place and a port of our own."""
    assert "/var/lib/untrace" in text and ":4318" in text
    file = folder / "moved.yaml"
    file.write_text(re.sub(r"(listen: .*):4318", r"\1:0", text.replace("/var/lib/untrace", str(folder / "data"))))
    done = untrace("check", "-c", file, env={**os.environ, "CENTRAL_TOKEN": "t"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_is_a_good_configuration_with_its_comments_too(installed, tmp_path):
    text = (installed / "etc/untrace/untrace.yaml").read_text()
    check(text, tmp_path)
    assert "central" in check(re.sub(r"^#(?=destinations| )(?! \S)", "", text, flags=re.M), tmp_path)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_unit_and_finds_it_hardened(installed):
    unit = installed / "untrace.service"
    text = (installed / "usr/lib/systemd/system/untrace.service").read_text()
    assert "ExecStart=/usr/bin/untrace run\n" in text
    unit.write_text(text.replace("/usr/bin/untrace", str(installed / "usr/bin/untrace")))
    environment = {**os.environ, "MANPATH": f"{installed}/usr/share/man:"}
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "man " not in line]) == (0, [])
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", unit], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="needs systemd-sysusers")
def test_the_user_and_its_directory_are_made(installed, tmp_path):
    (tmp_path / "etc").mkdir()
    for folder in ("sysusers.d", "tmpfiles.d"):
        (tmp_path / "usr/lib" / folder).mkdir(parents=True)
        shutil.copy(installed / "usr/lib" / folder / "untrace.conf", tmp_path / "usr/lib" / folder)
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], capture_output=True, check=True)
    assert re.search(r"^untrace:x:\d+:\d+:Untrace Agent:/var/lib/untrace:", (tmp_path / "etc/passwd").read_text(), re.M)
    if os.geteuid() == 0:
        subprocess.run(["systemd-tmpfiles", f"--root={tmp_path}", "--create"], capture_output=True, check=True)
        assert (tmp_path / "var/lib/untrace").stat().st_mode & 0o777 == 0o700


def test_the_folder_of_the_image_has_what_the_dockerfile_copies(tmp_path):
    if not os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
        pytest.skip("needs the certificates of this machine")
    image = tmp_path / "image"
    make("image", f"IMAGE={image}")
    copied = re.findall(r"^COPY (?:--\S+ )?(\S+) (\S+)$", (BESIDES / "Dockerfile").read_text(), re.M)
    assert copied == [("usr", "/usr"), ("etc", "/etc"), ("var", "/var")]
    assert {path.name for path in image.iterdir()} == {"usr", "etc", "var"}
    assert (image / "var/lib/untrace").is_dir() and (image / "usr/bin/untrace").stat().st_mode & 0o111
    check((image / "etc/untrace/untrace.yaml").read_text(), tmp_path)
