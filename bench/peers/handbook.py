"""Prose in two languages that everybody can have: the Debian Administrator's Handbook (Debian package debian-handbook): chapter 1, and chapter 1
with enough of the others for a context of 16k tokens twice."""
import html
import pathlib
import re
import subprocess
import tempfile

import peers

PAGES = ["the-debian-project", "sect.foundation-documents", "sect.debian-internals", "sect.follow-debian-news"]
LONG_PAGES = [*PAGES, "sect.release-lifecycle", "sect.computer-layers", "sect.user-space", "sect.kernel-role-and-tasks", "sect.how-to-migrate",
              "sect.installation-steps", "sect.becoming-package-maintainer", "sect.building-first-package", "sect.package-meta-information",
              "sect.apt-get", "sect.backup", "sect.dist-upgrade", "sect.kernel-compilation", "sect.config-misc", "sect.dealing-with-compromised-machine",
              "sect.other-security-considerations", "sect.selinux", "sect.supervision", "sect.virtualization"]
LANGUAGES = {"en": "en-US", "pl": "pl-PL"}


def plain(page: str) -> str:
    paragraphs = re.findall(r'<div class="para">(.*?)</div>', page, re.S)
    lines = [" ".join(html.unescape(re.sub(r"<[^>]*>", "", p)).split()) for p in paragraphs]
    return "\n\n".join(line for line in lines if line)


def texts(long: bool = False) -> list:
    """The files, one a language, made once in build/peers."""
    pages = LONG_PAGES if long else PAGES
    files = [peers.PEERS / f"handbook-{'long-' if long else ''}{language}.txt" for language in LANGUAGES]
    if not all(f.exists() for f in files):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "-qq", "download", "debian-handbook"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
            subprocess.run(["dpkg-deb", "-x", *pathlib.Path(folder).glob("*.deb"), folder], check=True)
            peers.PEERS.mkdir(parents=True, exist_ok=True)
            for file, code in zip(files, LANGUAGES.values()):
                texts = [pathlib.Path(folder) / f"usr/share/doc/debian-handbook/html/{code}/{p}.html" for p in pages]
                file.write_text("\n\n".join(plain(t.read_text(encoding="utf-8")) for t in texts) + "\n", encoding="utf-8")
    return files
