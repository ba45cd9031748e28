"use strict";
// Histograms and bars whose parts are links into the gallery.
(() => {
  const { element, svg, number, whole, percent } = sciexplain;
  const HEIGHT = 190, PRINTED = 330; // of a plot, and its width on paper, where two stand side by side
  const LEFT = 46, RIGHT = 12, TOP = 8, BOTTOM = 34;
  const LETTER = 7; // width of a letter, generously

  // At most so many round numbers from 0 up to what is at least the largest.
  function ticks(largest, most = 4) {
    if (largest <= 0) return [0, 1];
    const power = 10 ** Math.floor(Math.log10(largest / most));
    const step = Math.max(1, [1, 2, 5, 10].map((of) => of * power).find((of) => of * most >= largest));
    return Array.from({ length: Math.ceil(largest / step) + 1 }, (_, i) => i * step);
  }

  const close = (a, b) => Math.abs(a.x - b.x) < (a.text.length + b.text.length) * LETTER / 2 + 8;
  // Edges of bins at round multiples, so many that they do not touch; none close to the labels of what is apart.
  function edgeLabels(bins, step, edge, even) {
    const apart = bins.flatMap((bin, i) => (bin.label ? [{ x: LEFT + (i + 0.5) * step, text: bin.label }] : []));
    const inner = bins.map((bin, i) => ({ ...bin, i })).filter((bin) => !bin.label);
    if (!inner.length) return apart;
    const last = inner.at(-1), width = inner[0].high - inner[0].low;
    const edges = [...inner.map(({ low, i }) => ({ at: low, i })), { at: last.high, i: last.i + 1 }]
      .map(({ at, i }, turn) => ({ x: LEFT + i * step, text: edge(at), turn: even ? Math.round(at / width) : turn }))
      .filter(({ text }) => text);
    for (const every of [1, 2, 4, 5, 10, 20, 50, 100]) {
      const kept = edges.filter((one) => one.turn % every === 0 && !apart.some((other) => close(one, other)));
      if (!kept.some((one, i) => i && close(one, kept[i - 1]))) return [...apart, ...kept];
    }
    return apart;
  }

  // bins: [{low, high, count, href, name}], or {label, …} for what has no place on the axis, such as all below it.
  // edge: the text of an edge, "" for none; even: edges are multiples of the bins' width.
  sciexplain.histogram = (place, { title, note, axis, bins, edge = (x) => number(x, 3), even = true }) => {
    const plot = element("div", { class: "plot" });
    const said = note ? element("span", { class: "quiet" }, ` ${note}`) : null;
    place.append(element("figure", { class: "chart" }, element("figcaption", {}, title, said), plot));
    const total = bins.reduce((sum, bin) => sum + bin.count, 0);
    let focused = bins.reduce((best, bin, i) => (bin.count > bins[best].count ? i : best), 0);
    let width = 0;

    function draw(width) {
      const inner = width - LEFT - RIGHT, high = HEIGHT - TOP - BOTTOM, floor = TOP + high;
      const heights = ticks(Math.max(...bins.map((bin) => bin.count)));
      const step = inner / bins.length, gap = step > 4 ? 0.75 : 0;
      const y = (count) => floor - high * count / heights.at(-1);
      const text = (x, y, anchor, words) => svg("text", { x, y, "text-anchor": anchor }, words);

      const grid = heights.flatMap((count) => [
        svg("line", { class: count ? "grid" : "axis", x1: LEFT, x2: width - RIGHT, y1: y(count), y2: y(count) }),
        text(LEFT - 6, y(count) + 4, "end", whole(count)),
      ]);
      const bars = bins.map((bin, i) => {
        const name = `${bin.name}: ${whole(bin.count)} (${percent(bin.count / total)})`;
        const x = LEFT + i * step, tall = bin.count ? Math.max(1.5, floor - y(bin.count)) : 0;
        const bar = { x: x + gap, y: floor - tall, width: Math.max(0.5, step - 2 * gap), height: tall };
        return svg("a", { href: bin.href, "aria-label": name, tabindex: i === focused ? 0 : -1 },
          svg("title", {}, name),
          svg("rect", { class: "hit", x, y: TOP, width: step, height: high }),
          svg("rect", { class: "bar", ...bar }));
      });
      const labels = edgeLabels(bins, step, edge, even).flatMap(({ x, text: words }) => [
        svg("line", { class: "axis", x1: x, x2: x, y1: floor, y2: floor + 4 }),
        text(x, floor + 16, "middle", words),
      ]);
      const size = { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` };
      const said = `${title}; arrow keys go from bar to bar`;
      plot.replaceChildren(svg("svg", { ...size, role: "group", "aria-label": said },
        grid, bars, labels, text(LEFT + inner / 2, HEIGHT - 2, "middle", axis)));
    }

    plot.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by || event.ctrlKey || event.altKey || event.metaKey) return;
      const links = [...plot.querySelectorAll("a")];
      links[focused].setAttribute("tabindex", -1);
      focused = Math.min(links.length - 1, Math.max(0, links.indexOf(document.activeElement) + by));
      links[focused].setAttribute("tabindex", 0);
      links[focused].focus();
      event.preventDefault();
    });
    new ResizeObserver(([entry]) => {
      const now = Math.floor(entry.contentRect.width);
      if (now !== width && now > 0) { width = now; draw(width); }
    }).observe(plot);
    addEventListener("beforeprint", () => draw(PRINTED));
    addEventListener("afterprint", () => draw(width));
  };

  // rows: [{name, count, href, note}], one bar each; the first so many of them, and the others when asked for.
  sciexplain.bars = (place, { title, note, rows, most = 12 }) => {
    const largest = Math.max(...rows.map((row) => row.count), 1);
    const list = element("div", { class: "bars" });
    const bar = ({ name, count, href, note }) => {
      const fill = element("div", { class: "fill", style: { width: `${100 * count / largest}%` } });
      const said = `${name}: ${whole(count)}${note ? `, ${note}` : ""}`;
      return element("a", { href, title: name, "aria-label": said },
        element("bdi", { class: "what" }, name),
        element("div", { class: "track" }, count ? fill : null),
        element("span", { class: "many" }, whole(count), note ? ` · ${note}` : ""));
    };
    const draw = (shown) => list.replaceChildren(...shown.map(bar));
    draw(rows.slice(0, most));
    const more = element("button", { type: "button" }, `${whole(rows.length - most)} more`);
    more.addEventListener("click", () => { draw(rows); more.remove(); });
    const said = note ? element("span", { class: "quiet" }, ` ${note}`) : null;
    place.append(element("figure", { class: "chart" },
      element("figcaption", {}, title, said), list, rows.length > most ? more : null));
  };
})();
