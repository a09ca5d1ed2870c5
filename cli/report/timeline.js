// The timeline: rows of periods on a canvas. Of a row only the periods in view are drawn, and those that share a pixel once.
(() => {
  const section = document.getElementById("timeline");
  const { cycles, kinds, labels, tracks } = JSON.parse(document.getElementById("data-timeline").textContent);
  const picture = section.querySelector(".picture");
  const canvas = picture.querySelector("canvas");
  const range = section.querySelector(".range");
  const AXIS = 26;
  const GAP = 10;
  const NEAREST = 8; // cycles in view at the largest zoom
  const SIZE = 3; // numbers of a period: label, first cycle, end cycle

  const units = tracks.filter((track) => track.group !== "engines").length;
  const height = (track) => (track.group === "engines" || units <= 24 ? 22 : units <= 128 ? 11 : 4);
  let bottom = AXIS;
  const rows = tracks.map((track, at) => {
    if (at && track.group !== tracks[at - 1].group) bottom += GAP;
    const row = { ...track, top: bottom, height: height(track), count: track.periods.length / SIZE };
    bottom += row.height;
    return row;
  });

  const view = { first: 0, last: cycles };
  let chosen = null; // { row, period }
  let gutter = 130;
  let drag = null;

  const plain = { busy: "hsl(215 12% 62%)", LOAD: "hsl(38 30% 68%)", STORE: "hsl(38 45% 50%)" };
  const colour = (kind) => plain[kinds[kind]] || `hsl(${(205 + kind * 137.508) % 360} 58% ${58 + 7 * (kind % 3)}%)`;
  const number = (value) => Math.round(value).toLocaleString("en-US");
  const place = (cycle) => gutter + ((cycle - view.first) / (view.last - view.first)) * (canvas.clientWidth - gutter);
  const cycleAt = (x) => view.first + ((x - gutter) / (canvas.clientWidth - gutter)) * (view.last - view.first);

  // The first period of a row that ends after a cycle.
  function after(row, cycle) {
    let low = 0;
    let high = row.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (row.periods[SIZE * middle + 2] > cycle) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  function spacing() {
    const wanted = ((view.last - view.first) / Math.max(1, canvas.clientWidth - gutter)) * 90;
    const power = 10 ** Math.floor(Math.log10(wanted));
    return Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= wanted));
  }

  function draw() {
    const width = picture.clientWidth;
    const scale = devicePixelRatio || 1;
    gutter = width < 560 ? 84 : 130;
    canvas.width = Math.max(1, width * scale);
    canvas.height = (bottom + 4) * scale;
    canvas.style.height = `${bottom + 4}px`;
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(section);
    const ink = style.getPropertyValue("--ink");
    const faint = style.getPropertyValue("--line");
    pen.scale(scale, scale);
    pen.font = `12px ${style.fontFamily}`;
    pen.textBaseline = "middle";

    const step = spacing();
    pen.textAlign = "center";
    for (let cycle = Math.ceil(view.first / step) * step; cycle <= view.last; cycle += step) {
      const x = place(cycle);
      pen.fillStyle = faint;
      pen.fillRect(x, AXIS - 6, 1, bottom - AXIS + 6);
      pen.fillStyle = ink;
      pen.fillText(number(cycle), Math.min(width - 24, x), 10);
    }

    rows.forEach((row) => {
      const { top, height: tall } = row;
      pen.fillStyle = ink;
      pen.textAlign = "right";
      pen.font = `${tall >= 20 ? 12 : 9}px ${style.fontFamily}`;
      if (tall >= 11) pen.fillText(row.name, gutter - 8, top + tall / 2, gutter - 12);
      pen.save();
      pen.beginPath();
      pen.rect(gutter, top, width - gutter, tall);
      pen.clip();
      pen.textAlign = "left";
      const inset = tall > 8 ? 2 : 0.5;
      let drawn = -Infinity;
      for (let at = after(row, view.first); at < row.count; at++) {
        const [label, start, end] = row.periods.slice(SIZE * at, SIZE * at + SIZE);
        if (start >= view.last) break;
        const x = place(start);
        const right = Math.max(place(end), x + 1);
        const picked = chosen && chosen.row === row && chosen.period === at;
        if (right <= drawn + 0.5 && !picked) continue;
        drawn = right;
        pen.fillStyle = colour(labels[label][1]);
        pen.fillRect(x, top + inset, Math.max(1, right - x - (right - x > 3 ? 1 : 0)), tall - 2 * inset);
        if (picked) {
          pen.strokeStyle = ink;
          pen.lineWidth = 2;
          pen.strokeRect(x + 1, top + inset, Math.max(1, right - x - 2), tall - 2 * inset);
        }
        const from = Math.max(x, gutter) + 4;
        const room = Math.min(right, width) - from - 2;
        if (tall >= 20 && room > 24 && kinds[labels[label][1]] !== "busy" && pen.measureText(labels[label][0]).width <= room) {
          pen.fillStyle = "#14181f";
          pen.fillText(labels[label][0], from, top + tall / 2);
        }
      }
      pen.restore();
    });
    range.textContent = `cycles ${number(view.first)} to ${number(view.last)} of ${number(cycles)}` +
      (chosen ? `; ${told(chosen).join(", ")}` : "");
  }

  let waiting = false;
  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  }

  function look(first, length) {
    const span = Math.min(cycles, Math.max(NEAREST, length));
    view.first = Math.min(Math.max(0, first), cycles - span);
    view.last = view.first + span;
    later();
  }

  function zoom(factor, about = (view.first + view.last) / 2) {
    const span = (view.last - view.first) * factor;
    look(about - ((about - view.first) / (view.last - view.first)) * Math.min(cycles, Math.max(NEAREST, span)), span);
  }

  const move = (share) => look(view.first + share * (view.last - view.first), view.last - view.first);
  const all = () => look(0, cycles);

  function told({ row, period }) {
    const [label, start, end] = row.periods.slice(SIZE * period, SIZE * period + SIZE);
    return [labels[label][0], row.name, `cycles ${number(start)} to ${number(end)}`, `${number(end - start)} cycles`];
  }

  function under(x, y) {
    const row = rows.find((one) => y >= one.top && y < one.top + one.height);
    if (!row || x < gutter) return null;
    const near = (view.last - view.first) / (canvas.clientWidth - gutter);
    const period = after(row, cycleAt(x) - near);
    return period < row.count && row.periods[SIZE * period + 1] <= cycleAt(x) + near ? { row, period } : null;
  }

  function choose(row, period) {
    if (!row || !row.count) return;
    chosen = { row, period: Math.min(row.count - 1, Math.max(0, period)) };
    const [, start, end] = row.periods.slice(SIZE * chosen.period, SIZE * chosen.period + SIZE);
    if (end <= view.first || start >= view.last) look((start + end - (view.last - view.first)) / 2, view.last - view.first);
    later();
  }

  // The next row above or below that has a period, at the middle of the view or at the period chosen before.
  function otherRow(way) {
    const from = chosen ? rows.indexOf(chosen.row) : way > 0 ? -1 : rows.length;
    const middle = chosen ? chosen.row.periods[SIZE * chosen.period + 1] : (view.first + view.last) / 2;
    for (let at = from + way; at >= 0 && at < rows.length; at += way) {
      if (rows[at].count) return choose(rows[at], after(rows[at], middle));
    }
  }

  const keys = {
    ArrowLeft: () => move(-0.15),
    ArrowRight: () => move(0.15),
    ArrowUp: () => otherRow(-1),
    ArrowDown: () => otherRow(1),
    "+": () => zoom(0.6),
    "=": () => zoom(0.6),
    "-": () => zoom(1 / 0.6),
    Home: all,
    0: all,
    n: () => (chosen ? choose(chosen.row, chosen.period + 1) : otherRow(1)),
    p: () => (chosen ? choose(chosen.row, chosen.period - 1) : otherRow(1)),
    Escape: () => {
      chosen = null;
      tooltip.hide();
      later();
    },
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });

  const buttons = { in: () => zoom(0.6), out: () => zoom(1 / 0.6), left: () => move(-0.5), right: () => move(0.5), all };
  for (const button of section.querySelectorAll("button")) button.addEventListener("click", buttons[button.dataset.do]);

  canvas.addEventListener("wheel", (event) => {
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : 0;
    if (!sideways && !event.ctrlKey && document.activeElement !== canvas) return;
    event.preventDefault();
    if (sideways) move(sideways / 800);
    else zoom(Math.exp(event.deltaY / 400), cycleAt(event.offsetX));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoom(0.4, cycleAt(event.offsetX)));
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    drag = { x: event.clientX, first: view.first };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag) {
      tooltip.hide();
      const span = view.last - view.first;
      look(drag.first - ((event.clientX - drag.x) / (canvas.clientWidth - gutter)) * span, span);
      return;
    }
    const found = under(event.offsetX, event.offsetY);
    if (found) tooltip.show(told(found), event.clientX, event.clientY);
    else tooltip.hide();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag && Math.abs(event.clientX - drag.x) < 3) {
      chosen = under(event.offsetX, event.offsetY);
      later();
    }
    drag = null;
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", tooltip.hide);

  const legend = section.querySelector(".legend");
  legend.append(...kinds.map((kind, at) => {
    const entry = document.createElement("span");
    const swatch = document.createElement("i");
    swatch.className = "swatch";
    swatch.style.background = colour(at);
    entry.append(swatch, kind);
    return entry;
  }));

  new ResizeObserver(later).observe(picture);
  for (const query of ["print", "(prefers-color-scheme: dark)"]) matchMedia(query).addEventListener("change", draw);
  draw();
})();
