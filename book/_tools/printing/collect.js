/* Runs in a page of the site, drawn and typeset: returns what the book needs of it. */
() => {
  const article = document.querySelector("article");
  const remove = selector => article.querySelectorAll(selector).forEach(element => element.remove());
  /* What hears the page, hears an equation as it was written. */
  for (const item of window.MathJax?.startup?.document?.math ?? []) {
    item.typesetRoot?.setAttribute("role", "img");
    item.typesetRoot?.setAttribute("aria-label", item.math.trim());
  }
  remove("script, style, noscript, template, button, mjx-assistive-mml, .headerlink, .viewcode-link, .em-said, .em-table");
  /* The code of a figure, folded on the page because it only draws. */
  remove("details.hide.above-input");
  /* A canvas has no markup of its own. */
  article.querySelectorAll("canvas").forEach(canvas => {
    const image = document.createElement("img");
    image.src = canvas.toDataURL();
    canvas.replaceWith(image);
  });
  /* Rules of <style> elements are read from the browser, since MathJax adds its own without writing them into the text. */
  const rules = [...document.styleSheets]
    .filter(sheet => !sheet.href)
    .flatMap(sheet => [...sheet.cssRules])
    .filter(rule => !(rule instanceof CSSImportRule))
    .map(rule => rule.cssText);
  const sheets = [...document.querySelectorAll('link[rel="stylesheet"]')]
    .filter(link => link.media !== "print")
    .map(link => new URL(link.href).pathname);
  return { html: article.innerHTML, rules: rules, sheets: sheets };
}
