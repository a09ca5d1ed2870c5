// A point is the same in every picture and in the table: all of it is marked together.
(() => {
  const section = document.getElementById("pareto");
  const headings = [...section.querySelectorAll("th")].map((cell) => cell.textContent);

  function mark(number) {
    for (const one of section.querySelectorAll("[data-point]")) one.classList.toggle("chosen", one.dataset.point === number);
  }

  function told(number) {
    const cells = section.querySelectorAll(`tr[data-point="${number}"] td`);
    return [...cells].map((cell, at) => (headings[at] ? `${headings[at]}: ${cell.textContent}` : cell.textContent))
      .filter((line) => line !== "");
  }

  for (const one of section.querySelectorAll("[data-point]")) {
    const number = one.dataset.point;
    one.addEventListener("pointermove", (event) => {
      mark(number);
      if (one.tagName !== "TR") tooltip.show(told(number), event.clientX, event.clientY);
    });
    one.addEventListener("pointerleave", () => {
      mark(null);
      tooltip.hide();
    });
    one.addEventListener("focus", () => mark(number));
    one.addEventListener("blur", () => mark(null));
  }
})();
