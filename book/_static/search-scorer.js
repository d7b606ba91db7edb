/* What a search shows first: the chapter that is named so, then the word in the glossary, then chapters that have it in a
 * heading, then headings elsewhere, then the reference, then any text. Sphinx puts this file into the scripts of its search
 * page (html_search_scorer), after the search itself and before the index. */
var Scorer = {
  title: 400, /* a word of a heading, or a heading that is the query */
  partialTitle: 150,
  objNameMatch: 60,
  objPartialMatch: 20,
  objPrio: { 0: 5, 1: 0, 2: -5 },
  objPrioDefault: 0,
  term: 5,
  partialTerm: 2,

  asked: "",

  /* Of pages with the word in a heading, the one that teaches it; after chapters, the glossary's own entry. */
  score: function (result) {
    var [page, title, anchor, , score] = result;
    if (/\/glossary$/.test(page) && /^#term-/.test(anchor)) return score * 4.5; /* 100 for the very word */
    if (/^book\/(principles|applications)\//.test(page)) {
      var named = !anchor && score >= Scorer.title && ` ${plain(title)} `.includes(` ${Scorer.asked} `);
      return score * (named ? 3 : 1.2);
    }
    if (/^book\/exercises\/solutions\//.test(page)) return score * 0.6;
    if (/^book\/exercises\//.test(page)) return score * 0.8;
    return score;
  },
};

/* Words as they are compared: case, the kind of dash and apostrophe (a phone has one of each) and a plural do not count. */
function plain(text) {
  return text.replace(/<[^>]*>/g, "").trim().toLowerCase().replace(/[\u2010-\u2015\s-]+/g, " ").replace(/\u2019/g, "'")
    .replace(/ies\b/g, "y").replace(/s\b/g, "");
}

/* Entries of the glossary that are the words asked for (1000), or begin with them (900): "EM" is the EM algorithm. */
function entries(asked, index) {
  var found = [], whole = asked.replace(/ /g, "");
  Object.entries(index.indexentries).forEach(function ([entry, places]) {
    var words = plain(entry).split(" "), begins = words.map((_, i) => words.slice(0, i + 1).join("")).indexOf(whole);
    if (begins < 0) return;
    places.filter(([file, id]) => /^term-/.test(id)).forEach(function ([file, id]) {
      var score = begins === words.length - 1 ? 1000 : 900;
      found.push([index.docnames[file], index.titles[file], "#" + id, null, score, index.filenames[file]]);
    });
  });
  return found;
}

var performSearch = Search._performSearch;
Search._performSearch = function (query, ...terms) {
  Scorer.asked = plain(query);
  var first = entries(Scorer.asked, Search._index).sort((a, b) => a[4] - b[4]); /* here the best is the last */
  var anchors = first.map((entry) => entry[2]), named = (result) => result[4] > 1000;
  var others = performSearch(query, ...terms).filter((result) => !anchors.includes(result[2]));
  return [...others.filter((result) => !named(result)), ...first, ...others.filter(named)];
};

/* Of "E-step", every "step" is marked and not every "e". */
var parseQuery = Search._parseQuery;
Search._parseQuery = function (query) {
  var parsed = parseQuery(query), marked = [...parsed[3]].filter((word, _, all) => word.length > 1 || all.length === 1);
  parsed[3] = new Set(marked);
  localStorage.setItem("sphinx_highlight_terms", marked.join(" ")); /* for the page that is opened next */
  return parsed;
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
