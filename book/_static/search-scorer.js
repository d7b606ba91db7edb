/* What a search shows first: a page that has the word in a heading, then what the glossary and the index say, then the
 * reference, then any text. Sphinx puts this file into the scripts of its search page (html_search_scorer). */
var Scorer = {
  title: 400, /* a word of a heading, or a heading that is the query */
  partialTitle: 150,
  objNameMatch: 60,
  objPartialMatch: 20,
  objPrio: { 0: 5, 1: 0, 2: -5 },
  objPrioDefault: 0,
  term: 5,
  partialTerm: 2,

  /* Of two pages with the word in a heading, the one that teaches it. */
  score: function (result) {
    var page = result[0], score = result[4];
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
