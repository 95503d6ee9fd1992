"""Prose in two languages that everybody can have: chapter 1 of the Debian Administrator's Handbook (Debian package debian-handbook)."""
import html
import pathlib
import re
import subprocess
import tempfile

import peers

PAGES = ["the-debian-project", "sect.foundation-documents", "sect.debian-internals", "sect.follow-debian-news"]
LANGUAGES = {"en": "en-US", "pl": "pl-PL"}


def plain(page: str) -> str:
    paragraphs = re.findall(r'<div class="para">(.*?)</div>', page, re.S)
    lines = [" ".join(html.unescape(re.sub(r"<[^>]*>", "", p)).split()) for p in paragraphs]
    return "\n\n".join(line for line in lines if line)


def texts() -> list:
    """The files, made once in build/peers."""
    files = [peers.PEERS / f"handbook-{language}.txt" for language in LANGUAGES]
    if not all(f.exists() for f in files):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "-qq", "download", "debian-handbook"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
            subprocess.run(["dpkg-deb", "-x", *pathlib.Path(folder).glob("*.deb"), folder], check=True)
            peers.PEERS.mkdir(parents=True, exist_ok=True)
            for file, code in zip(files, LANGUAGES.values()):
                pages = [pathlib.Path(folder) / f"usr/share/doc/debian-handbook/html/{code}/{p}.html" for p in PAGES]
                file.write_text("\n\n".join(plain(p.read_text(encoding="utf-8")) for p in pages) + "\n", encoding="utf-8")
    return files
