"""A figure as the few bytes that a page carries.

An explorer is a stack of almost equal pictures. Drawn as SVG, gzip finds what one repeats of the one
before, as long as both fit into its window of 32 KB; they are sharp at every width besides. A picture
with so much in it that its SVG is longer becomes a bitmap with a small palette, as WebP without loss: a third
smaller than the same as PNG.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from base64 import b64encode
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

LONGEST_SVG = 32_000  # bytes: gzip's window
BITMAP_DPI = 144  # half as many again as a page shows
BITMAP_COLORS = 32

_SVG = "http://www.w3.org/2000/svg"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def svg(figure: Figure) -> str:
    """The figure as a short SVG document; equal figures give equal text.

    Raises
    ------
    TypeError
        If `figure` is no matplotlib figure.
    """
    if not isinstance(figure, Figure):
        raise TypeError(f"figure is a {type(figure).__name__}; it must be a matplotlib Figure.")
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "emlib", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    ET.register_namespace("", _SVG)
    root = ET.fromstring(text.getvalue())
    _shorten(root)
    return re.sub(r">\s+<", "><", ET.tostring(root, encoding="unicode").replace(" />", "/>")).strip()


def bitmap(picture: Figure | bytes) -> bytes:
    """The figure, or a PNG drawn elsewhere, as a WebP with a small palette; equal pictures give equal bytes.

    Raises
    ------
    ValueError
        If `picture` is bytes that are no PNG.
    """
    if isinstance(picture, Figure):
        drawn = io.BytesIO()
        picture.savefig(drawn, format="png", dpi=BITMAP_DPI)
        picture = drawn.getvalue()
    if not picture.startswith(_PNG_SIGNATURE):
        raise ValueError(f"The picture is {len(picture)} bytes that are no PNG; give a figure or the bytes of a PNG.")
    with Image.open(io.BytesIO(picture)) as image:
        # On white: a transparent picture would vanish on a dark page.
        page = Image.new("RGBA", image.size, "white")
        page.alpha_composite(image.convert("RGBA"))
        small = page.convert("RGB").quantize(BITMAP_COLORS, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    small.convert("RGB").save(packed, "WEBP", lossless=True, quality=100, method=6)
    return packed.getvalue()


def address(picture: Figure | bytes) -> str:
    """The picture as the address of an ``<img>``: SVG where that is short, else a bitmap.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> address(Figure())[:19]
    'data:image/svg+xml,'
    """
    if isinstance(picture, Figure):
        text = svg(picture)
        if len(text) <= LONGEST_SVG:
            # As plain as an address may be: base64 would hide the repetitions from gzip.
            return "data:image/svg+xml," + text.replace('"', "'").replace("%", "%25").replace("#", "%23")
    return "data:image/webp;base64," + b64encode(bitmap(picture)).decode("ascii")


def image(source: str, alt: str) -> str:
    """An ``<img>`` element; `source` comes from `address`, `alt` says what is seen."""
    return f'<img class="em-frame" src="{escape(source, quote=False)}" alt="{escape(alt)}">'


# ---------------------------------------------------------------- making matplotlib's SVG short
def _shorten(root: ET.Element) -> None:
    for parent in root.iter():
        for child in list(parent):
            if child.tag.endswith("}metadata"):
                parent.remove(child)
    for element in root.iter():
        if _XLINK_HREF in element.attrib:
            element.set("href", element.attrib.pop(_XLINK_HREF))
    _unwrap_marks(root)
    _join_dots(root)
    _rename(root)
    in_defs = {id(e) for defs in root.iter(f"{{{_SVG}}}defs") for e in defs.iter()}
    for element in root.iter():
        _round(element, digits=2 if id(element) in in_defs else 1)


def _unwrap_marks(parent: ET.Element) -> None:
    """Each point of a scatter comes in a group of its own, only to be clipped: clip them together."""
    joined: list[ET.Element] = []
    for child in list(parent):
        _unwrap_marks(child)
        before = joined[-1] if joined else None
        if before is not None and set(child.attrib) == {"clip-path"} and child.attrib == before.attrib:
            before.extend(list(child))
            parent.remove(child)
        else:
            joined.append(child)


def _join_dots(root: ET.Element) -> None:
    """Discs of one size and colour become one path of dots: a moved pen that leaves round ends."""
    radius = {}
    for path in root.iter(f"{{{_SVG}}}path"):
        disc = re.fullmatch(r"M 0 ([\d.]+)\s+(?:C[^A-Z]+){8}z\s*", path.get("d", ""))
        if disc and "id" in path.attrib:
            radius["#" + path.attrib["id"]] = float(disc[1])
    for parent in root.iter():
        paths: dict[tuple[float, str], ET.Element] = {}
        for child in list(parent):
            r, fill = radius.get(child.get("href", "")), re.fullmatch("fill: (#[0-9a-f]{6})", child.get("style", ""))
            if r is None or fill is None:
                continue
            if (r, fill[1]) not in paths:
                look = f"stroke:{fill[1]};stroke-width:{2 * r:.2f};stroke-linecap:round"
                paths[r, fill[1]] = ET.SubElement(parent, f"{{{_SVG}}}path", {"style": look})
            path = paths[r, fill[1]]
            path.set("d", path.get("d", "") + f"M{child.attrib['x']} {child.attrib['y']}h0")
            parent.remove(child)


def _rename(root: ET.Element) -> None:
    """Short names for what is referred to, none for the rest."""
    text = ET.tostring(root, encoding="unicode")
    names: dict[str, str] = {}
    for name in re.findall(r'(?:url\(#|href="#)([^")]+)', text):
        names.setdefault(name, f"i{len(names)}")
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in names:
            element.set("id", names[name])
        for key, value in element.attrib.items():
            if "#" in value:
                element.set(key, re.sub(r"#([^)\s;]+)", lambda m: "#" + names.get(m[1], m[1]), value))


def _round(element: ET.Element, digits: int) -> None:
    """Coordinates to a tenth of a point; factors of scale stay exact."""

    def short(match: re.Match[str]) -> str:
        return f"{float(match[0]):.{digits}f}".rstrip("0").rstrip(".")

    attributes: dict[str, Any] = element.attrib
    for key in ("d", "x", "y", "points"):
        if key in attributes:
            attributes[key] = re.sub(r"-?\d+\.\d+", short, " ".join(attributes[key].split()))
    if "d" in attributes:
        attributes["d"] = re.sub(r" ?([A-Za-z]) ?", r"\1", attributes["d"])
    if "transform" in attributes:
        attributes["transform"] = re.sub(
            r"translate\([^)]*\)", lambda m: re.sub(r"-?\d+\.\d+", short, m[0]), attributes["transform"]
        )
    if "style" in attributes:
        attributes["style"] = re.sub(r"([:;]) ", r"\1", attributes["style"])
