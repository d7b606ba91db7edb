/* Runs in a page of the site, drawn and typeset: returns what the book needs of it. */
() => {
  const article = document.querySelector("article");
  const remove = selector => article.querySelectorAll(selector).forEach(element => element.remove());
  /* Whoever has the page read out hears an equation as it was written; its letters alone would be nonsense. */
  const say = (element, tex) => {
    if (!element) return;
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", tex.trim());
    /* Of what is hidden in part, Chromium tags nothing. */
    element.querySelectorAll("[aria-hidden]").forEach(part => part.removeAttribute("aria-hidden"));
  };
  for (const item of window.MathJax?.startup?.document?.math ?? []) say(item.typesetRoot, item.math);
  article.querySelectorAll(".katex").forEach(katex => say(katex, katex.querySelector("annotation")?.textContent ?? ""));
  remove("script, style, noscript, template, button, mjx-assistive-mml, .katex-mathml, .headerlink, .viewcode-link, .em-said, .em-table");
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
