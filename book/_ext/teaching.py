"""What teachers plan with, made from the chapters and the exercises themselves, so that it cannot go stale.

    ```{teaching-times}        a table: minutes and points of every chapter
    ```{teaching-plan}         weeks (YAML): what is read and what of it skipped, what is written, how long both take
    ```{teaching-needs}        a list: what each application says that its readers should know
    ```{teaching-map}          every chapter's objectives, and the functions and checks that prove them
    ```{teaching-projects}     links to the open projects
    {slip}`mixtures.m_step.bessel`   the sentence that whoever makes this mistake reads

A chapter states its objectives, needs and reading time in `{objectives}` and its exercises in `{links}`; an exercise
states its functions, checks, points and minutes in its module. Only which function serves which objective is said in
the body of `{teaching-map}`: topic, first words of an objective, names of functions. What does not fit any
more, because an objective was reworded or a function renamed, is an error of the build. A chapter that the body does
not name yet shows its functions below its objectives. A plan is an error too if it assigns a function and not one that
its reference calls, for whoever writes just what is asked would lose the points; and if it has a chapter read before
those that it needs, and does not say which sections to skip.
"""

import dis
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective, SphinxRole

from emlib.course.contract import Exercise, Function
from emlib.course.exercises import CHAPTER_OF
from emlib.course.library import load

PARTS = ("book/principles/", "book/applications/")
WHOLE = "the whole page"


@dataclass(frozen=True)
class Chapter:
    """A chapter: its number and page, what it promises, its exercises, and those of other chapters that it links to."""

    number: int
    page: str
    title: str
    minutes: int
    needs: str
    objectives: tuple[str, ...]
    sections: tuple[str, ...]
    exercises: tuple[Exercise, ...]
    borrowed: tuple[Exercise, ...]

    @property
    def topic(self) -> str:
        return self.page.rsplit("/", 1)[1]

    @property
    def functions(self) -> dict:
        """All functions of its exercises, by name."""
        return {name: function for each in self.exercises for name, function in each.functions.items()}


def chapters(root: Path) -> list[Chapter]:
    """The chapters of the book, in the order of its table of contents."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    pages = [each["file"] for part in toc["parts"] for each in part["chapters"] if each["file"].startswith(PARTS)]
    return [chapter(root, page, number) for number, page in enumerate(pages, 1)]


def chapter(root: Path, page: str, number: int) -> Chapter:
    """What a notebook says of itself."""
    cells = json.loads((root / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    objectives, links = (re.search(rf"```{{{name}}}\n(.*?)```", text, re.DOTALL)[1] for name in ("objectives", "links"))
    named = re.search(r"^:exercise: (.*)$", links, re.MULTILINE)
    topics = [topic for topic in (named[1].split() if named else []) if topic in CHAPTER_OF]
    # An exercise is that of one chapter; counted wherever it is linked to, its hours and points would count twice.
    own = [topic for topic in topics if page.endswith(f"/{CHAPTER_OF[topic][1]}")]
    return Chapter(
        number,
        page,
        re.search(r"^# (.+)$", text, re.MULTILINE)[1],
        int(re.search(r"^:time: (\d+)$", objectives, re.MULTILINE)[1]),
        re.search(r"^:needs: (.+)$", objectives, re.MULTILINE)[1],
        tuple(line[2:].rstrip(" ;.") for line in objectives.splitlines() if line.startswith("- ")),
        tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)),
        tuple(map(load, own)),
        tuple(load(topic) for topic in topics if topic not in own),
    )


# ---------------------------------------------------------------- which function serves which objective
def served(chapter: Chapter, said: dict) -> list[tuple[str, list]]:
    """Each objective with its functions; those of a chapter of which nothing is said serve the whole page.

    Raises
    ------
    ValueError
        If `said` begins no objective of the chapter, names a function that it has not, or leaves one out.
    """
    found: dict[str, list] = {objective: [] for objective in chapter.objectives}
    if not said:
        return [*found.items(), *([(WHOLE, list(chapter.functions.values()))] if chapter.functions else [])]
    for words, names in said.items():
        meant = [objective for objective in chapter.objectives if objective.startswith(words)]
        if len(meant) != 1:
            raise ValueError(f"{chapter.topic}: {len(meant)} objectives begin with {words!r}; it must be one")
        unknown = set(names) - set(chapter.functions)
        if unknown:
            raise ValueError(f"{chapter.topic}: its exercise has no function {min(unknown)}")
        found[meant[0]] += [chapter.functions[name] for name in names]
    left = set(chapter.functions) - {name for names in said.values() for name in names}
    if left:
        raise ValueError(f"{chapter.topic}: {min(left)} serves no objective; name one for it")
    return list(found.items())


def minutes_of(functions) -> int:
    """How long these functions take: their share of their exercise's points, to five minutes."""
    total = sum(each.exercise.minutes * each.points / each.exercise.points for each in functions)
    return max(5, 5 * round(total / 5)) if functions else 0


def numbered(exercise: Exercise) -> str:
    """A link to an exercise of another chapter."""
    return f"[exercise\u00a0{CHAPTER_OF[exercise.topic][0]}](/book/exercises/{exercise.topic}.ipynb)"


def hours(minutes: int) -> str:
    """As people say it, on one line."""
    text = f"{minutes // 60} h {minutes % 60:02d}" if minutes >= 60 else f"{minutes} min"
    return text.replace(" ", "\u00a0")


# ---------------------------------------------------------------- plans
def plan(book: list[Chapter], weeks: list[dict]) -> list[list[str]]:
    """For each week its number, what is done at home and how long that takes, and what is done in class.

    A topic is a chapter, ``topic.function`` is a function, and other text stands as it is.

    Raises
    ------
    ValueError
        If a name is that of nothing, a function is to be written before those that it calls, or a chapter to be read
        before those that it needs, and nothing of it skipped.
    """
    rows, known, written = [], set(), set()
    for number, week in enumerate(weeks, 1):
        try:
            rows.append([str(number), at_home(book, week, known, written), week.get("meet", "")])
        except ValueError as problem:
            raise ValueError(f"week {number}: {problem}") from None
    return rows


def at_home(book: list[Chapter], week: dict, known: set[int], written: set[str]) -> str:
    """What is read and written in a week; chapters and functions of the weeks before are `known` and `written`."""
    if unknown := set(week) - {"read", "skip", "meet", "write"}:
        raise ValueError(f"it has the unknown key {min(unknown)}")
    read, minutes = reading(book, week, known)
    write, functions = assigned(book, week.get("write", []))
    written |= {each.id for each in functions}
    for each in functions:
        if missing := {f"{each.exercise.topic}.{name}" for name in calls(each)} - written:
            raise ValueError(f"{each.id} calls {min(missing)}, which nobody is told to write")
    minutes += minutes_of(functions)
    tasks = [read, f"write {', '.join(write)}" if write else "", share(functions)]
    return "; ".join(filter(None, tasks)) + (f" ({hours(minutes)})" if minutes else "")


def reading(book: list[Chapter], week: dict, known: set[int]) -> tuple[str, int]:
    """What is to be read in a week, and how long that takes; its chapters are `known` then."""
    topics, skip = week.get("read", []), week.get("skip", [])
    pages = [chapter for topic in topics if (chapter := chapter_of(book, topic))]
    known |= {each.number for each in pages}
    if absent := set(skip) - {section for each in pages for section in each.sections}:
        raise ValueError(f"no chapter that is read has a section {min(absent)!r} to skip")
    for each in pages:
        if not skip and (missing := needed(each.needs) - known):
            raise ValueError(f"chapter {each.number} is read before chapter {min(missing)}, which it needs: skip what?")
    links = {each.topic: f"[chapter\u00a0{each.number}](/{each.page}.ipynb)" for each in pages}
    said = f"read {', '.join(links.get(topic, topic) for topic in topics)}" if topics else ""
    return said + (f" without *{'* and *'.join(skip)}*" if skip else ""), sum(each.minutes for each in pages)


def needed(text: str) -> set[int]:
    """The chapters that it names, as in "chapter 8", "chapters 2, 3 and 6" and "chapters 2 to 4"."""
    runs = " ".join(re.findall(r"chapters?\s((?:\d+|, | and | to )+)", text))
    pairs = [(int(first), int(last or first)) for first, last in re.findall(r"(\d+)(?: to (\d+))?", runs)]
    return {number for first, last in pairs for number in range(first, last + 1)}


def needs(book: list[Chapter]) -> list[str]:
    """A list of the applications and of what they need, as they say it."""
    applications = [each for each in book if each.page.startswith(PARTS[1])]
    return [f"- chapter\u00a0{each.number}, [{each.title}](/{each.page}.ipynb): {each.needs}" for each in applications]


def assigned(book: list[Chapter], names: list[str]) -> tuple[list[str], list[Function]]:
    """What is to be written, as links, and the functions among it."""
    links, functions = [], []
    for name in names:
        topic, _, function = name.partition(".")
        chapter = chapter_of(book, topic) if re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)?", name) else None
        if chapter is None:
            links.append(name)
            continue
        if function not in chapter.functions if function else not chapter.functions:
            raise ValueError(f"{topic} has no {f'function {function}' if function else 'exercise'} to write")
        own = [chapter.functions[function]] if function else list(chapter.functions.values())
        functions += own
        link = f"(/book/exercises/{own[0].exercise.topic}.ipynb)"
        links.append(f"[`{function}`]{link}" if function else f"[all of exercise {chapter.number}]{link}")
    return links, functions


def calls(function: Function) -> set[str]:
    """The functions of its exercise that the reference calls: students have only what they wrote themselves."""
    codes, names = [function.reference.__code__], set()
    while codes:
        code = codes.pop()
        names |= {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
        codes += [part for part in code.co_consts if isinstance(part, CodeType)]
    return names & set(function.exercise.functions)


def share(functions: list[Function]) -> str:
    """How many points of its exercise a part of it has; nothing for whole exercises."""
    points = sum(each.points for each in functions)
    of = sum(each.points for each in {each.exercise.topic: each.exercise for each in functions}.values())
    return f"{points} of {of} points" if points < of else ""


def chapter_of(book: list[Chapter], topic: str) -> Chapter | None:
    """The chapter of this topic; None if the text is no topic.

    Raises
    ------
    ValueError
        If it looks like one and is none.
    """
    found = [each for each in book if each.topic == topic]
    if not found and re.fullmatch(r"[a-z_]+", topic):
        raise ValueError(f"there is no chapter {topic}")
    return found[0] if found else None


# ---------------------------------------------------------------- directives
class Teaching(SphinxDirective):
    """What the directives share: the chapters, and Markdown that is parsed in place."""

    def run(self):
        root = Path(self.env.srcdir)
        self.book = chapters(root)
        for each in [root / "_toc.yml", *(root / f"{chapter.page}.ipynb" for chapter in self.book)]:
            self.env.note_dependency(str(each))
        for each in (exercise for chapter in self.book for exercise in chapter.exercises + chapter.borrowed):
            self.env.note_dependency(str(root / f"emlib/course/exercises/{each.topic}.py"))
        try:
            body = yaml.safe_load("\n".join(self.content)) if self.content else None
            return self.content_nodes(body)
        except (ValueError, KeyError, yaml.YAMLError) as problem:
            raise self.error(f"{self.name}: {problem}") from None

    def parse(self, lines: list[str]) -> list[nodes.Node]:
        """Markdown as nodes."""
        holder = nodes.Element()
        self.state.nested_parse(StringList(lines, self.env.docname), self.content_offset, holder)
        return holder.children

    def table(self, head: list[str], rows: list[list[str]]) -> list[nodes.Node]:
        """A table of Markdown cells."""
        return self.parse(["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]])


class Times(Teaching):
    def content_nodes(self, body):
        rows = [
            [
                f"{each.number}. [{each.title}](/{each.page}.ipynb)",
                f"{each.minutes} min",
                " and ".join(
                    [f"[{hours(e.minutes)}](/book/exercises/{e.topic}.ipynb)" for e in each.exercises]
                    + [numbered(e) for e in each.borrowed]
                )
                or "none",
                str(sum(e.points for e in each.exercises) or ""),
                str(sum(len(f.slips) for f in each.functions.values()) or ""),
            ]
            for each in self.book
        ]
        return self.table(["Chapter", "Reading", "Exercise", "Points", "Named mistakes"], rows)


class Plan(Teaching):
    has_content = True

    def content_nodes(self, body):
        return self.table(["Week", "At home", "In class"], plan(self.book, body))  # three columns, for a phone


class Needs(Teaching):
    def content_nodes(self, body):
        return self.parse(needs(self.book))


class Map(Teaching):
    has_content = True

    def content_nodes(self, body):
        unknown = set(body) - {each.topic for each in self.book}
        if unknown:
            raise ValueError(f"there is no chapter {min(unknown)}")
        return [self.section(each, served(each, body.get(each.topic, {}))) for each in self.book]

    def section(self, chapter, rows):
        """A heading, and a list of objectives with the functions and checks below each."""
        title = f"Chapter {chapter.number}: {chapter.title}"
        section = nodes.section(ids=[f"map-{chapter.topic.replace('_', '-')}"], names=[title.lower()])
        section += nodes.title(title, title)
        section += self.parse(list(self.lines(chapter, rows)))
        return section

    def lines(self, chapter, rows) -> Iterator[str]:
        """The same as Markdown."""
        yield f"[The page](/{chapter.page}.ipynb) takes {chapter.minutes} minutes to read."
        for each in chapter.exercises:
            link = f"[exercise](/book/exercises/{each.topic}.ipynb)"
            yield f"Its {link} takes about {hours(each.minutes)} and has {each.points} points."
        for each in chapter.borrowed:
            yield f"It sends its readers to {numbered(each)}."
        yield ""
        for objective, functions in rows:
            yield f"- {objective}"
            for each in functions:
                checks = "; ".join(f"{check.title} ({check.points})" for check in each.checks)
                yield f"  - `{each.name}`: {checks}"
            if not functions:
                yield "  - *not written: ask for it in words*"


class Projects(Teaching):
    def content_nodes(self, body):
        """The book's own projects, if there are any."""
        root = Path(self.env.srcdir)
        toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
        pages = [each["file"] for part in toc["parts"] for each in part["chapters"]]
        pages = [page for page in pages if page.startswith("book/projects/")]
        if not pages:
            return []
        first = "The book has some, with real data, a few checks, and the rubric for the report at the end of each:"
        return self.parse([first, "", *(f"- [](/{page}.ipynb)" for page in pages)])


class SlipSentence(SphinxRole):
    """What the check says of a mistake."""

    def run(self):
        topic, _, rest = self.text.partition(".")
        function, _, name = rest.partition(".")
        try:
            [sentence] = [slip.why for slip in load(topic).functions[function].slips if slip.name == name]
        except (ValueError, KeyError):
            message = self.inliner.reporter.error(f"there is no slip {self.text}", line=self.lineno)
            return [], [message]
        children, messages = self.inliner.parse(sentence, self.lineno, self.inliner, nodes.inline())
        return [nodes.emphasis("", "", nodes.Text("“"), *children, nodes.Text("”"))], messages


def setup(app):
    """Register with Sphinx."""
    app.add_directive("teaching-times", Times)
    app.add_directive("teaching-plan", Plan)
    app.add_directive("teaching-needs", Needs)
    app.add_directive("teaching-map", Map)
    app.add_directive("teaching-projects", Projects)
    app.add_role("slip", SlipSentence())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
