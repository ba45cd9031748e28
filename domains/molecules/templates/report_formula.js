"use strict";
// A structural formula on paper: relevance beneath it as discs and bands, walks and arcs above, atoms to point at.
sciexplain.moleculeDrawing = (() => {
  const { svg } = sciexplain;
  // Black lines stay readable on the map's paler three quarters; the scale beside the drawing shows the same.
  const PALE = 0.75;
  const DISC = 0.36, BAND = 0.2, RING = 0.5, HIT = 0.5;
  const FAR = 0.1, MOST_FAR = 24;
  const INK = "#1c2126", PAPER = 0;

  const ground = (value, limit, context) => context.colour(PALE * Math.max(-1, Math.min(1, value / limit)));
  const sign = (value, context) => context.colour(value < 0 ? -0.9 : 0.9);

  function scale(limit, what, context) {
    const bar = context.colourBar(limit, what);
    const stops = Array.from({ length: 17 }, (_, i) => context.colour(PALE * (i / 8 - 1)));
    bar.querySelector(".scale-bar").style.setProperty("background-image", `linear-gradient(to right, ${stops.join(", ")})`);
    return bar;
  }

  // The number that gets the full colour: the largest |relevance| of atoms and of what passes between them.
  const limitOf = (data) => Math.max(...data.relevance.map(Math.abs), ...data.bonds.map((bond) => Math.abs(bond[4] ?? 0)), ...data.pairs.map((pair) => Math.abs(pair[2])), 0) || 1;

  // A step of a walk from a to b, bent to its left so that the way back is another line.
  function step([ax, ay], [bx, by], bend) {
    return `Q${(ax + bx) / 2 + bend * (by - ay)} ${(ay + by) / 2 - bend * (bx - ax)} ${bx} ${by}`;
  }

  // All atoms and nothing else, in a square, for a drawing that is small.
  function square({ size: [width, height], length, places }) {
    const xs = places.filter((_, k) => k % 2 === 0), ys = places.filter((_, k) => k % 2 === 1);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const side = Math.max(right - left, bottom - top, 2.2 * length) + 1.5 * length;
    return [(left + right - side) / 2, (top + bottom - side) / 2, side, side];
  }

  function make(data, context, { notes = false, label = "", point = null, small = false } = {}) {
    const { size: [width, height], length, places, paths, order } = data.formula;
    const at = (i) => [places[2 * i], places[2 * i + 1]];
    const limit = limitOf(data), [left, top, wide, high] = small ? square(data.formula) : [0, 0, width, height];
    const layer = (name, attributes = {}) => svg("g", { class: name, ...attributes });
    const under = layer("molecule-ground"), lines = layer("molecule-lines"), ways = layer("molecule-walks"), letters = layer("molecule-letters"), marks = layer("molecule-marks"), hits = layer("molecule-hits");
    const disc = (i, radius, attributes) => svg("circle", { cx: at(i)[0], cy: at(i)[1], r: radius * length, ...attributes });
    const line = (i, j, attributes) => svg("line", { x1: at(i)[0], y1: at(i)[1], x2: at(j)[0], y2: at(j)[1], ...attributes });

    const strongest = [...data.relevance.keys()].sort((a, b) => Math.abs(data.relevance[a]) - Math.abs(data.relevance[b]));
    if (order) projection();
    else {
      for (const [i, j, , , value] of data.bonds) if (value !== null) under.append(line(i, j, { stroke: ground(value, limit, context), "stroke-width": BAND * length }));
      for (const i of strongest) under.append(disc(i, DISC, { fill: ground(data.relevance[i], limit, context), "data-disc": i }));
    }
    for (const [i, j, value] of [...data.pairs].sort((a, b) => Math.abs(b[2]) - Math.abs(a[2])).slice(0, MOST_FAR)) {
      const share = Math.min(1, Math.abs(value) / limit);
      if (share < FAR) continue;
      lines.append(svg("path", { d: `M${at(i).join(" ")}${step(at(i), at(j), 0.18)}`, fill: "none", stroke: sign(value, context), "stroke-width": length * (0.012 + 0.06 * share), "stroke-dasharray": `${0.1 * length} ${0.06 * length}`, opacity: 0.4 + 0.5 * share }));
    }
    for (const [d, kind, stroke, dashes] of paths) {
      const drawn = kind === "bond" || kind === "wedge";
      const path = svg("path", { d, class: `molecule-${kind}`, fill: kind === "bond" ? "none" : INK, stroke: drawn ? INK : "none", "stroke-width": drawn ? stroke : null, "stroke-dasharray": dashes.length ? dashes.join(" ") : null, "stroke-linecap": "round", "stroke-linejoin": "round" });
      (drawn ? lines : letters).append(path);
    }
    if (point) for (const [x, y, i] of numberPlaces()) letters.append(svg("text", { x, y, class: "molecule-note", "font-size": 0.27 * length, "stroke-width": 0.07 * length, stroke: context.colour(0), "text-anchor": "middle", "dominant-baseline": "central" }, String(i)));
    const drawing = svg("svg", { class: `molecule-drawing${notes ? " numbered" : ""}`, viewBox: `${left} ${top} ${wide} ${high}`, role: "img", "aria-label": label, style: { "background-color": context.colour(PAPER) } },
      svg("rect", { x: left, y: top, width: wide, height: high, fill: context.colour(PAPER) }), under, lines, ways, letters, marks, hits);

    // Atoms' numbers go where there is most room between bonds.
    function numberPlaces() {
      const around = data.elements.map(() => []);
      for (const [i, j] of data.bonds) {
        around[i].push(Math.atan2(at(j)[1] - at(i)[1], at(j)[0] - at(i)[0]));
        around[j].push(Math.atan2(at(i)[1] - at(j)[1], at(i)[0] - at(j)[0]));
      }
      return around.map((angles, i) => {
        angles.sort((a, b) => a - b);
        const gaps = angles.map((angle, k) => [(angles[k + 1] ?? angles[0] + 2 * Math.PI) - angle, angle]);
        const [gap, from] = gaps.reduce((most, one) => (one[0] > most[0] + 1e-6 ? one : most), [0, -Math.PI / 4]);
        const carbon = data.elements[i] === "C", far = (carbon ? 0.36 : 0.52) * length;
        // An element's hydrogens stand beside it at the end of a chain, and where most room is within one.
        const angle = carbon || !angles.length ? from + gap / 2 : angles.length > 1 ? from + gap / 2 + Math.min(0.27 * gap, 1.05) : Math.sin(angles[0]) > 0.2 ? -Math.PI / 2 : Math.PI / 2;
        return [at(i)[0] + far * Math.cos(angle), at(i)[1] + far * Math.sin(angle), i];
      });
    }

    // Balls and sticks from the farthest to the nearest, for what has no formula.
    function projection() {
      const rank = new Map(order.map((atom, place) => [atom, place]));
      const parts = data.bonds.map(([i, j, , , value]) => [Math.min(rank.get(i), rank.get(j)) - 0.5, () => [
        line(i, j, { stroke: INK, "stroke-width": 0.24 * length }), line(i, j, { stroke: ground(value ?? 0, limit, context), "stroke-width": 0.2 * length })]]);
      const letter = (i) => svg("text", { x: at(i)[0], y: at(i)[1], "text-anchor": "middle", "dominant-baseline": "central", "font-size": 0.3 * length, fill: INK }, data.elements[i]);
      for (const i of order) parts.push([rank.get(i), () => [disc(i, 0.3, { fill: ground(data.relevance[i], limit, context), stroke: INK, "stroke-width": 0.02 * length, "data-disc": i }), letter(i)]]);
      for (const [, draw] of parts.sort((a, b) => a[0] - b[0])) under.append(...draw());
    }

    function highlight(atoms) {
      marks.replaceChildren(...atoms.map((i) => disc(i, RING, { class: "molecule-ring", "stroke-width": 0.07 * length })));
    }

    // Curves from a dot to an arrowhead, as wide as they are relevant beside the strongest.
    function walks(list) {
      const most = Math.max(...list.map((walk) => Math.abs(walk[1])), 0) || 1;
      ways.replaceChildren(...[...list].reverse().map(([atoms, value]) => {
        const colour = sign(value, context), share = Math.abs(value) / most, thick = length * (0.03 + 0.07 * share);
        const steps = atoms.slice(1).filter((atom, k) => atom !== atoms[k]).length;
        const moved = atoms.filter((atom, k) => k === 0 || atom !== atoms[k - 1]);
        const curve = `M${at(moved[0]).join(" ")}${moved.slice(1).map((atom, k) => step(at(moved[k]), at(atom), 0.2)).join("")}`;
        const dot = svg("circle", { cx: at(moved[0])[0], cy: at(moved[0])[1], r: 0.05 * length + thick, fill: colour });
        return svg("g", { opacity: 0.55 + 0.4 * share }, svg("path", { d: curve, fill: "none", stroke: colour, "stroke-width": thick, "stroke-linecap": "round" }), dot, steps ? head(at(moved.at(-2)), at(moved.at(-1)), colour, thick) : null);
      }));
    }
    function head([ax, ay], [bx, by], colour, thick) {
      // along the curve's end: from its middle point
      const [cx, cy] = [(ax + bx) / 2 + 0.2 * (by - ay), (ay + by) / 2 - 0.2 * (bx - ax)];
      const far = Math.hypot(bx - cx, by - cy) || 1, [ux, uy] = [(bx - cx) / far, (by - cy) / far], long = thick + 0.11 * length;
      return svg("path", { d: `M${bx + ux * long} ${by + uy * long}L${bx - uy * long * 0.6} ${by + ux * long * 0.6}L${bx + uy * long * 0.6} ${by - ux * long * 0.6}Z`, fill: colour });
    }

    // ---- looking closer
    let view = [left, top, wide, high];
    function look(next) {
      const w = Math.min(width, Math.max(4 * length, next[2])), h = (w * height) / width;
      view = [Math.min(width - w, Math.max(0, next[0])), Math.min(height - h, Math.max(0, next[1])), w, h];
      drawing.setAttribute("viewBox", view.join(" "));
      drawing.classList.toggle("closer", w < width);
    }
    const zoom = (by) => look([view[0] + (view[2] * (1 - by)) / 2, view[1] + (view[3] * (1 - by)) / 2, view[2] * by]);
    const whole = () => look([0, 0, width]);

    if (point) {
      data.elements.forEach((_, i) => hits.append(disc(i, HIT, { fill: "transparent", "data-atom": i })));
      const atom = (event) => { const found = event.target.closest?.("[data-atom]"); return found ? Number(found.dataset.atom) : null; };
      drawing.addEventListener("pointerover", (event) => point.over(atom(event)));
      drawing.addEventListener("pointerleave", () => point.over(null));
      drag(() => view, look, (event) => { const found = atom(event); if (found !== null) point.pick(found); });
    }
    // Dragging moves the paper once one looks closer; a press without a move picks.
    function drag(from, to, press) {
      let start = null, moved = false;
      drawing.addEventListener("pointerdown", (event) => { start = { x: event.clientX, y: event.clientY, view: from() }; moved = false; });
      drawing.addEventListener("pointermove", (event) => {
        if (!start) return;
        const scale = start.view[2] / drawing.getBoundingClientRect().width;
        const [dx, dy] = [(event.clientX - start.x) * scale, (event.clientY - start.y) * scale];
        if (Math.hypot(event.clientX - start.x, event.clientY - start.y) > 4) moved = true;
        if (moved && start.view[2] < width) to([start.view[0] - dx, start.view[1] - dy, start.view[2]]);
      });
      drawing.addEventListener("pointerup", (event) => { if (start && !moved) press(event); start = null; });
      drawing.addEventListener("pointercancel", () => { start = null; });
      drawing.addEventListener("pointerleave", () => { start = null; });
    }

    return { element: drawing, highlight, walks, zoom, whole, numbered: (shown) => drawing.classList.toggle("numbered", shown) };
  }

  return { make, scale, limitOf, ground };
})();
