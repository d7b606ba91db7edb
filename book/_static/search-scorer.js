/* What a search shows first: a chapter that has the word in a heading, then the word in the glossary, then headings
 * elsewhere, then the reference, then any text. Sphinx puts this file into the scripts of its search page (html_search_scorer). */
var Scorer = {
  title: 400, /* a word of a heading, or a heading that is the query */
  partialTitle: 150,
  objNameMatch: 60,
  objPartialMatch: 20,
  objPrio: { 0: 5, 1: 0, 2: -5 },
  objPrioDefault: 0,
  term: 5,
  partialTerm: 2,

  /* Of pages with the word in a heading, the one that teaches it; after chapters, the glossary's own entry. */
  score: function (result) {
    var page = result[0], anchor = result[2], score = result[4];
    if (/\/glossary$/.test(page) && /^#term-/.test(anchor)) return score * 4.5; /* 100 for the very word */
    if (/^book\/(principles|applications)\//.test(page)) return score * 1.2;
    if (/^book\/exercises\/solutions\//.test(page)) return score * 0.6;
    if (/^book\/exercises\//.test(page)) return score * 0.8;
    return score;
  },
};

/* Excerpts show an equation once: what is there for screen readers is left out. */
document.addEventListener("DOMContentLoaded", function () {
  var toText = Search.htmlToText;
  Search.htmlToText = function (html, anchor) {
    var page = new DOMParser().parseFromString(html, "text/html");
    page.querySelectorAll(".katex-mathml").forEach(function (twin) { twin.remove(); });
    return toText(page.documentElement.outerHTML, anchor);
  };
});
