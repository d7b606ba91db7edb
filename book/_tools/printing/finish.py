"""What Chromium leaves open in a PDF: an outline by parts and chapters, title and author, fixed dates, compression."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pikepdf

from .compose import Entry


@dataclass(frozen=True)
class About:
    """What a PDF says about itself.

    Parameters
    ----------
    title, author, subject : str
        As a viewer shows them.
    when : int
        Seconds since 1970: the date of the commit, so that the same commit gives the same file.
    """

    title: str
    author: str
    subject: str
    when: int


def places(pdf: pikepdf.Pdf) -> dict[str, tuple[int, float]]:
    """Where each named place is: {name: (page, from 1; height on it)}."""
    numbers = {page.obj.objgen: number for number, page in enumerate(pdf.pages, 1)}
    named = pdf.Root.get("/Dests", {})
    return {name[1:]: (numbers[to[0].objgen], float(to[3])) for name, to in named.items()}


def page_numbers(path: Path) -> dict[str, int]:
    """The page of each named place, from 1."""
    with pikepdf.open(path) as pdf:
        return {name: page for name, (page, _) in places(pdf).items()}


def finish(source: Path, target: Path, lines: Iterable[Entry], about: About) -> int:
    """Write the finished PDF; returns its number of pages."""
    with pikepdf.open(source) as pdf:
        add_outline(pdf, lines, places(pdf))
        describe(pdf, about)
        settle_names(pdf)
        # Tags are many small objects: packed into streams they take less than half the space.
        packed = pikepdf.ObjectStreamMode.generate
        pdf.save(target, object_stream_mode=packed, compress_streams=True, deterministic_id=True)
        return len(pdf.pages)


def settle_names(pdf: pikepdf.Pdf) -> None:
    """Number the named tags (heads of tables) in order; Chromium's own numbers differ from run to run."""
    tags = [
        thing
        for thing in pdf.objects
        if isinstance(thing, pikepdf.Dictionary) and thing.get("/Type") == "/StructElem" and "/ID" in thing
    ]
    new = {old: f"tag{number:08d}" for number, old in enumerate(sorted({str(tag.ID) for tag in tags}))}
    for tag in tags:
        tag.ID = pikepdf.String(new[str(tag.ID)])
    for thing in pdf.objects:
        if isinstance(thing, pikepdf.Dictionary) and thing.get("/Type") == "/StructElem" and "/A" in thing:
            rename(thing.A, new)
    if "/StructTreeRoot" in pdf.Root and "/IDTree" in pdf.Root.StructTreeRoot:
        rename(pdf.Root.StructTreeRoot.IDTree, new)
    if "/ID" in pdf.trailer:
        del pdf.trailer["/ID"]  # made of the time; saving makes one of the contents


def rename(thing: pikepdf.Object, new: Mapping[str, str]) -> None:
    """Replace strings in an array or dictionary and what it holds, tags excepted."""
    if isinstance(thing, pikepdf.Array):
        places = list(range(len(thing)))
    elif isinstance(thing, pikepdf.Dictionary) and thing.get("/Type") != "/StructElem":
        places = list(thing.keys())
    else:
        return
    for place in places:
        inner = thing[place]
        if isinstance(inner, pikepdf.String | str) and str(inner) in new:
            thing[place] = pikepdf.String(new[str(inner)])
        else:
            rename(inner, new)


def add_outline(pdf: pikepdf.Pdf, lines: Iterable[Entry], where: Mapping[str, tuple[int, float]]) -> None:
    """Parts, chapters and sections as bookmarks, parts unfolded; a line whose place is unknown is left out."""
    with pdf.open_outline() as outline:
        above: list[pikepdf.OutlineItem] = []  # the last item of each level so far
        for line in lines:
            if line.anchor not in where:
                continue
            page, top = where[line.anchor]
            item = pikepdf.OutlineItem(line.title, page - 1, "XYZ", top=top)
            item.is_closed = line.level > 0
            del above[line.level :]
            (above[-1].children if above else outline.root).append(item)
            above.append(item)


def describe(pdf: pikepdf.Pdf, about: About) -> None:
    """Title, author, language and dates; the dates are those of the commit, so that nothing depends on the clock."""
    when = datetime.fromtimestamp(about.when, UTC)
    with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as xmp:
        xmp["dc:title"] = about.title
        xmp["dc:creator"] = [about.author]
        xmp["dc:description"] = about.subject
        xmp["dc:language"] = ["en"]
        xmp["xmp:CreateDate"] = xmp["xmp:ModifyDate"] = when.isoformat()
    date = when.strftime("D:%Y%m%d%H%M%S+00'00'")
    for key, value in {
        "/Title": about.title,
        "/Author": about.author,
        "/Subject": about.subject,
        "/Creator": "Chromium",
        "/CreationDate": date,
        "/ModDate": date,
    }.items():
        pdf.docinfo[key] = value
    pdf.Root.Lang = "en"
    pdf.Root.PageMode = pikepdf.Name.UseOutlines
    pdf.Root.ViewerPreferences = pikepdf.Dictionary(DisplayDocTitle=True)
