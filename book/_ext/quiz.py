"""Quizzes that explain every answer, with nothing but the browser.

    ```{quiz}
    - question: Which numbers does the E-step compute?
      options:
        - text: The responsibilities $r_{ik}$.
          correct: true
          why: They are the expected labels at the present parameters.
        - text: The weights $w_k$.
          why: Those come out of the M-step.
    ```

Texts are a line of Markdown. An explanation appears when its option is chosen: by CSS alone, so it also works without
JavaScript; em-static.js reads it out to screen readers. Nothing is stored and nothing is graded.

Why not a library: jupyterquiz builds its questions by JavaScript out of a code cell, so nothing is there without it,
and says itself that its mathematics fails in JupyterLab 4; sphinx-exercise shows or hides a solution as a whole.
"""

import string

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from element import make
from sphinx.util.docutils import SphinxDirective

FEWEST, MOST = 3, 6


def complaints(questions):
    """Sentences on what is wrong with a quiz; none if it is sound."""
    if not isinstance(questions, list) or not FEWEST <= len(questions) <= MOST:
        found = len(questions) if isinstance(questions, list) else "no list of"
        return [f"a quiz has {FEWEST} to {MOST} questions, here are {found}"]
    return [f"question {i}: {what}" for i, question in enumerate(questions, 1) for what in flaws(question)]


def flaws(question):
    """Sentences on what is wrong with a question."""
    if not isinstance(question, dict) or set(question) != {"question", "options"}:
        return ["it must have exactly the keys question and options"]
    options = question["options"]
    if not isinstance(options, list) or len(options) < 2 or not all(isinstance(option, dict) for option in options):
        return ["options must be a list of at least two, each with text and why"]
    found = []
    for letter, option in zip(string.ascii_letters, options, strict=False):
        unknown = set(option) - {"text", "why", "correct"}
        if unknown:
            found.append(f"option {letter} has the unknown key {min(map(str, unknown))}")
        for key in ("text", "why"):
            if not isinstance(option.get(key), str) or not option[key].strip():
                found.append(f"option {letter} has no {key}, or one that YAML does not read as text (quote it)")
    right = sum(option.get("correct") is True for option in options)
    if right != 1:
        found.append(f"{right} options are correct; it must be one")
    return found


class Quiz(SphinxDirective):
    """Three to six questions with one right answer each."""

    has_content = True
    option_spec = {"class": directives.class_option}  # noqa: RUF012 - docutils' way

    def run(self):
        try:
            questions = yaml.safe_load("\n".join(self.content))
        except yaml.YAMLError as error:
            raise self.error(f"quiz: not YAML: {error}") from None
        if wrong := complaints(questions):
            raise self.error("quiz: " + "; ".join(wrong))
        quiz = f"quiz-{self.env.new_serialno('quiz') + 1}"
        fields = [self.fieldset(f"{quiz}-{i}", i, question) for i, question in enumerate(questions, 1)]
        said = make("p", class_="em-said", role="status")
        return [make("form", *fields, said, class_="em-quiz", aria_label="Quiz", autocomplete="off")]

    def fieldset(self, name, number, question):
        """One question."""
        legend = make("legend", make("span", f"{number}. ", class_="em-number"), *self.inline(question["question"]))
        options = [
            self.option(name, f"{name}{letter}", option)
            for letter, option in zip(string.ascii_lowercase, question["options"], strict=False)
        ]
        return make("fieldset", legend, *options)

    def option(self, name, own, option):
        """One radio button, its label, and what it says once chosen."""
        right = option.get("correct") is True
        verdict = make("strong", "✓ Right." if right else "✗ Not this one.")
        return make(
            "div",
            make("input", type="radio", name=name, id=own, value=own[-1]),
            make("label", *self.inline(option["text"]), for_=own),
            make("p", verdict, nodes.Text(" "), *self.inline(option["why"]), class_="em-why"),
            class_="em-option em-right" if right else "em-option em-wrong",
        )

    def inline(self, text):
        """One line of Markdown, parsed."""
        children, messages = self.state.inline_text(" ".join(text.split()), self.lineno)
        return [*children, *messages]


def setup(app):
    """Register with Sphinx."""
    app.setup_extension("element")
    app.add_directive("quiz", Quiz)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
