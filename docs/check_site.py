"""Look at the built pages: internal links lead somewhere, and nothing is loaded from elsewhere.

python docs/check_site.py docs/_build/html
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a page loads by itself; links that a reader follows may lead elsewhere.
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


class Page(HTMLParser):
    """Anchors and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append((tag, name, value))


def faults(root: Path) -> list[str]:
    """What is wrong, a line each."""
    root = root.resolve()
    found = (path for path in sorted(root.rglob("*.html")) if "_static" not in path.parts)
    pages = {path: Page(path.read_text("utf-8")) for path in found}
    if not pages:
        return [f"{root} has no pages"]
    wrong = []
    for path, page in pages.items():
        for tag, name, link in page.links:
            parts = urlsplit(link)
            where = f"{path.relative_to(root)}: <{tag} {name}={link!r}>"
            if parts.scheme or parts.netloc:
                if (tag, name) in LOADED and parts.scheme != "data":
                    wrong.append(f"{where} is loaded from another site")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                wrong.append(f"{where} leads nowhere")
            elif parts.fragment and target in pages:
                anchors = pages[target].anchors
                if unquote(parts.fragment) not in anchors and parts.fragment not in anchors:
                    wrong.append(f"{where} has no such place")
    return wrong


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]))
    print(
        "\n".join(wrong) or "all internal links lead somewhere; nothing is loaded from other sites"
    )
    sys.exit(bool(wrong))
