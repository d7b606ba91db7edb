"""Pictures say how large they are, so that the text does not jump when they arrive."""

import re
import struct
from pathlib import Path

IMAGE = re.compile(r'<img\b[^>]*\bsrc="[^"]*_images/([^"/]+\.png)"[^>]*>')
SIZED = re.compile(r"\b(width|height|style)=")


def size(path: Path) -> tuple[int, int] | None:
    """Width and height of a PNG in pixels, from its first bytes; None if it is none."""
    with path.open("rb") as file:
        head = file.read(24)
    return struct.unpack(">II", head[16:24]) if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) == 24 else None


def give_sizes(app, page):
    """Add width and height to the pictures of a page that have neither."""
    files = {name: source for source, name in app.builder.images.items()}

    def sized(found):
        source = files.get(found[1])
        if source is None or SIZED.search(found[0]) or (pixels := size(Path(app.srcdir) / source)) is None:
            return found[0]
        return found[0].replace("<img ", f'<img width="{pixels[0]}" height="{pixels[1]}" ', 1)

    page.html = IMAGE.sub(sized, page.html)


def setup(app):
    """Register with Sphinx."""
    app.setup_extension("output")
    app.connect("page-output", give_sizes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
