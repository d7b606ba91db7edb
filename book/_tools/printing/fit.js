/* Runs in the one document, laid out as wide as the paper: what is wider than its column is made smaller, down to a half.
 * Returns what reaches into the margin all the same. */
() => {
  const SMALLEST = 0.5;
  const column = element => {
    const block = element.parentElement.closest("div, section, li, td, dd, p, figure");
    const style = getComputedStyle(block);
    return block.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  };
  /* An equation: its number stands beside it, so what counts is how far its widest part reaches beyond the container. */
  document.querySelectorAll('mjx-container[display="true"], .katex-display').forEach(container => {
    const parts = [...container.querySelectorAll("mjx-math, .katex-html")].map(part => part.scrollWidth);
    const wide = Math.max(container.scrollWidth, ...parts);
    const room = container.clientWidth;
    if (room && wide > room + 1) {
      const size = parseFloat(getComputedStyle(container).fontSize);
      const scale = Math.max(SMALLEST, (room / wide) * 0.99);
      container.style.setProperty("font-size", `${size * scale}px`, "important");
    }
  });
  /* A short piece of code stays in one piece; a long one may break, or it would leave half a page empty. */
  document.querySelectorAll("pre").forEach(pre => pre.classList.toggle("em-whole", pre.offsetHeight < 260));
  document.querySelectorAll("table").forEach(table => {
    const room = column(table);
    for (let i = 0; i < 4 && table.offsetWidth > room + 1; i++) {
      const size = parseFloat(getComputedStyle(table).fontSize);
      table.style.fontSize = `${Math.max(5, size * Math.max(SMALLEST, room / table.offsetWidth))}px`;
    }
  });
  const MARGIN = 12; /* CSS pixels; paper is cut 90 pixels beyond the text */
  return [...document.querySelectorAll("main :is(pre, table, img, svg, mjx-math, .katex-html, .jupyter-widgets, p, li)")]
    .filter(element => element.getBoundingClientRect().right > document.documentElement.clientWidth + MARGIN)
    .map(element => `${element.tagName.toLowerCase()} on ${element.closest(".em-chapter")?.id}: `
      + element.textContent.trim().slice(0, 60));
}
