"""The PDF's pieces that need no browser: contents, links, headings, quizzes, and what is added to a printed PDF."""

import pikepdf
import pytest
from pypdf import PdfReader

from book._tools import pdf
from book._tools.printing import compose, contents, finish
from book._tools.printing.contents import Chapter

TOC = {
    "root": "book/intro",
    "parts": [
        {"caption": "Ideas", "chapters": [{"file": "book/a/one"}, {"file": "book/a/two.ipynb"}]},
        {
            "caption": "Tasks",
            "chapters": [{"file": "book/b/one", "sections": [{"file": "book/b/solved"}]}, {"url": "x"}],
        },
    ],
}
BOOK = pdf.Book("Hidden: a book", "the authors", "CC BY", "1.2", "abc123", 1_700_000_000)


def made(html, chapter=None, known=(), online=""):
    """A page made ready for print."""
    chapter = chapter or Chapter("book/a/one", "Ideas", 0)
    body = compose.parse(f"<div>{html}</div>")
    known = {chapter.page: compose.ids(body), **dict(known)}
    return compose.leaf(chapter, body, known, online, "over there")


# ---------------------------------------------------------------- contents
def test_chapters_come_in_reading_order_with_part_and_depth():
    assert contents.chapters(TOC) == [
        Chapter("book/intro", "", 0),
        Chapter("book/a/one", "Ideas", 0),
        Chapter("book/a/two", "Ideas", 0),
        Chapter("book/b/one", "Tasks", 0),
        Chapter("book/b/solved", "Tasks", 1),
    ]


def test_entries_name_parts_once_and_sections_below_their_chapter():
    one = made("<section id='s'><h1>One</h1><section id='t'><h2>Deep</h2></section></section>")
    two = made("<section id='s'><h1>Two</h1></section>", Chapter("book/a/two", "Ideas", 0))
    assert compose.entries([one, two]) == [
        compose.Entry(0, "Ideas", "part--ideas"),
        compose.Entry(1, "One", "a-one"),
        compose.Entry(2, "Deep", "a-one--t"),
        compose.Entry(1, "Two", "a-two"),
    ]


@pytest.mark.parametrize(
    ("part", "depth", "names"), [("", 0, ["h1", "h2"]), ("P", 0, ["h2", "h3"]), ("P", 1, ["h3", "h4"])]
)
def test_headings_stand_below_part_and_chapter(part, depth, names):
    leaf = made("<h1 id='a'>A</h1><h2 id='b'>B</h2>", Chapter("book/a/one", part, depth))
    assert [tag.name for tag in leaf.body.find_all(compose.HEADINGS)] == names


# ---------------------------------------------------------------- links
KNOWN = {"book/a/one": {"here"}, "book/a/two": {"eq"}}


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("#here", "#a-one--here"),
        ("two.html#eq", "#a-two--eq"),
        ("../a/two.html", "#a-two"),
        ("two.html#no-such-place", "#a-two"),
        ("#no-such-place", "#a-one"),
        ("../../_modules/emlib.html", None),
        ("../../_sources/book/a/two.ipynb", None),
        ("https://doi.org/10.1/x", "https://doi.org/10.1/x"),
        ("mailto:a@b.c", "mailto:a@b.c"),
        ("javascript:void(0)", None),
        ("file:///etc/passwd", None),
    ],
)
def test_link_leads_into_the_book_to_the_net_or_nowhere(address, leads_to):
    assert compose.target("book/a/one", address, KNOWN, "") == leads_to


def test_pages_that_are_not_in_the_book_are_linked_online():
    at = compose.target("book/a/one", "../../_modules/emlib.html#x", KNOWN, "https://em.example/")
    assert at == "https://em.example/_modules/emlib.html#x"


def test_dead_link_keeps_its_words():
    leaf = made("<p>see <a href='../../genindex.html'>the index</a></p>")
    assert leaf.body.decode_contents() == "<p>see the index</p>"


def test_ids_of_two_pages_differ_and_what_names_them_follows():
    leaf = made("<label for='x' aria-labelledby='x y'>l</label><i id='x'></i><i id='y'></i>")
    assert compose.ids(leaf.body) == {"a-one--x", "a-one--y"}
    assert leaf.body.label["for"] == "a-one--x"
    assert leaf.body.label["aria-labelledby"] == "a-one--x a-one--y"


def test_pictures_are_found_from_the_root():
    leaf = made("<img src='../../_images/a.png'><img src='data:image/png;base64,AA'>")
    assert [img["src"] for img in leaf.body.find_all("img")] == ["/_images/a.png", "data:image/png;base64,AA"]


# ---------------------------------------------------------------- what paper cannot do
QUIZ = """<form class="em-quiz" autocomplete="off"><fieldset><legend>1. Why?</legend>
<div class="em-option em-wrong"><input type="radio"><label for="q">This</label><p class="em-why">No: <i>a</i>.</p></div>
<div class="em-option em-right"><input type="radio"><label for="q">That</label><p class="em-why">Yes: b.</p></div>
</fieldset></form>"""


def test_quiz_has_letters_and_its_answers_below():
    body = made(QUIZ).body
    words = body.get_text(" ", strip=True).replace("\u2002", "")
    assert words == "1. Why? a) This b) That Answers 1a No: a . 1b Yes: b."
    assert not body.find(["form", "input", "label", "fieldset", "legend"])


def test_links_come_before_the_quiz_lest_they_end_the_chapter_alone():
    links = '<section class="em-box em-links">links</section>'
    body = made(f"<section><h1>T</h1><section><h2>Check</h2>{QUIZ}{links}</section></section>").body
    words = body.get_text(" ", strip=True)
    assert words.startswith("T links Check")
    assert words.count("links") == 1


def test_explorer_says_which_frame_it_shows_and_where_the_others_are():
    slider = '<div class="widget-slider"><b class="widget-label">iteration</b><b class="widget-readout">12, M</b></div>'
    body = made(f'<div class="em-explorer"><div class="em-controls">{slider}</div><img alt="x"></div>').body
    assert body.find(class_="em-elsewhere").get_text() == "Shown: iteration 12, M, the last. To move it: over there."
    assert body.find(class_="em-controls") is None


def test_what_unfolds_is_unfolded():
    body = made("<details class='c'><summary>More</summary><p>text</p></details>").body
    assert body.find("details") is None
    assert body.get_text() == "Moretext"


def test_document_has_every_chapter_a_running_head_and_no_script():
    leaves = [made(f"<h1 id='t'>{title}</h1>", Chapter(f"book/a/{title}", "Ideas", 0)) for title in ('A "b"', "C")]
    html = compose.document(leaves, compose.entries(leaves), pdf.front_matter(BOOK), "Hidden", ["/s.css"], ["p {}"])
    assert html.count('class="em-chapter') == 2
    assert '@top-right { content: "A \\"b\\""; }' in html
    assert "abc123" in html
    assert "<script" not in html


# ---------------------------------------------------------------- the printed PDF
LINES = [
    compose.Entry(0, "Ideas", "part--ideas"),
    compose.Entry(1, "One", "a-one"),
    compose.Entry(2, "Deep", "a-one--t"),
    compose.Entry(2, "Lost", "nowhere"),
    compose.Entry(1, "Two", "a-two"),
    compose.Entry(0, "Tasks", "part--tasks"),
]
ABOUT = finish.About("Hidden", "the authors", "Version 1.2", 1_700_000_000)


@pytest.fixture
def printed(tmp_path):
    """What Chromium might have printed: four empty pages with named places."""
    path = tmp_path / "printed.pdf"
    with pikepdf.new() as book:
        for _ in range(4):
            book.add_blank_page()
        places = {"part--ideas": 0, "a-one": 1, "a-one--t": 1, "a-two": 2, "part--tasks": 3}
        book.Root.Dests = pikepdf.Dictionary(
            {f"/{name}": [book.pages[n].obj, pikepdf.Name.XYZ, 0, 700 - n, 0] for name, n in places.items()}
        )
        book.docinfo["/CreationDate"] = "D:20990101000000Z"
        book.save(path)
    return path


def test_page_numbers_count_from_one(printed):
    numbers = finish.page_numbers(printed)
    assert numbers == {"part--ideas": 1, "a-one": 2, "a-one--t": 2, "a-two": 3, "part--tasks": 4}


def outline(reader, items=None):
    """An outline as nested pairs of title and page."""
    items = reader.outline if items is None else items
    return [
        outline(reader, item) if isinstance(item, list) else (item.title, reader.get_destination_page_number(item) + 1)
        for item in items
    ]


def test_outline_has_parts_chapters_and_sections(printed, tmp_path):
    assert finish.finish(printed, tmp_path / "book.pdf", LINES, ABOUT) == 4
    reader = PdfReader(tmp_path / "book.pdf")
    assert outline(reader) == [("Ideas", 1), [("One", 2), [("Deep", 2)], ("Two", 3)], ("Tasks", 4)]
    assert reader.outline[0].top == 700


def test_pdf_says_what_it_is_and_nothing_of_the_clock(printed, tmp_path):
    for name in ("a.pdf", "b.pdf"):
        finish.finish(printed, tmp_path / name, LINES, ABOUT)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    reader = PdfReader(tmp_path / "a.pdf")
    assert (reader.metadata.title, reader.metadata.author) == ("Hidden", "the authors")
    assert reader.metadata.creation_date.year == 2023
    assert reader.root_object["/Lang"] == "en"
    assert reader.xmp_metadata.dc_title == {"x-default": "Hidden"}


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, ""),
        ({"repository": {"url": ""}}, ""),
        ({"repository": {"url": "https://github.com/Some/course"}}, "https://some.github.io/course/"),
        (
            {"html": {"baseurl": "https://em.example"}, "repository": {"url": "https://github.com/a/b"}},
            "https://em.example/",
        ),
    ],
)
def test_online_address_is_as_said_or_that_of_the_repository(settings, address):
    assert pdf.online_address(settings) == address


def test_tags_have_the_same_names_in_every_print(tmp_path):
    made = []
    for count in (7, 41):  # where Chromium's counter stood
        with pikepdf.new() as book:
            book.add_blank_page()
            names = [f"node{count + n:08d}" for n in range(2)]
            tags = [pikepdf.Dictionary(Type=pikepdf.Name.StructElem, ID=pikepdf.String(name)) for name in names]
            tags[1].A = pikepdf.Array([pikepdf.Dictionary(Headers=pikepdf.Array([pikepdf.String(names[0])]))])
            tree = pikepdf.Dictionary(Names=pikepdf.Array([pikepdf.String(names[0]), book.make_indirect(tags[0])]))
            root = pikepdf.Dictionary(K=pikepdf.Array([book.make_indirect(tags[1])]), IDTree=tree)
            book.Root.StructTreeRoot = book.make_indirect(root)
            book.trailer["/ID"] = pikepdf.Array([pikepdf.String(f"{count:016d}")] * 2)
            finish.settle_names(book)
            assert str(tags[1].A[0].Headers[0]) == str(book.Root.StructTreeRoot.IDTree.Names[0])
            path = tmp_path / f"{count}.pdf"
            book.save(path, deterministic_id=True)
            made.append(path.read_bytes())
    assert made[0] == made[1]


def test_missing_page_gets_one_sentence(tmp_path):
    (tmp_path / "toc.yml").write_text("{root: book/intro, chapters: []}", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"no page book/intro\.html: build the site with `make book SERVE=0` first"):
        pdf.make(BOOK, tmp_path, tmp_path / "toc.yml", tmp_path / "book.pdf")
    assert not (tmp_path / "book.pdf").exists()
