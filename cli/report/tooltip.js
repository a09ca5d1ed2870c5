"use strict";

// A box beside the pointer. Its text is set as text, never as markup.
const tooltip = (() => {
  const box = document.createElement("div");
  box.id = "tooltip";
  box.hidden = true;
  document.body.append(box);

  function show(lines, x, y) {
    box.replaceChildren(...lines.map((text) => {
      const line = document.createElement("div");
      line.textContent = text;
      return line;
    }));
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    box.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
    box.style.top = `${y + 18 + height < innerHeight ? y + 18 : Math.max(4, y - height - 10)}px`;
  }

  function hide() {
    box.hidden = true;
  }

  document.addEventListener("pointermove", (event) => {
    const told = event.target.closest && event.target.closest("[data-tip]");
    if (told) show([told.dataset.tip], event.clientX, event.clientY);
    else if (!event.target.closest("canvas, [data-point]")) hide();
  });
  addEventListener("scroll", hide, { passive: true });

  return { show, hide };
})();
