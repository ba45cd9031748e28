"use strict";
// The audit: does the model decide for the right reasons? Clusters of samples that it decides on alike, the most
// suspicious first, where their relevance is, and all samples in the plane.
(() => {
  const { by, element, svg, rows, load, fail, table, number, signed, whole, percent, className, context } = sciexplain;
  const report = sciexplain.report(), view = sciexplain.views[report.view] ?? {};
  const CARDS = 10, NEAR = 14, SIDE = 440, ROOM = 16;
  const COLOURS = 10; // --audit-0 and so on; further clusters are grey
  const hue = (rank) => (rank < COLOURS ? `var(--audit-${rank})` : "var(--strong)");
  const forever = new AbortController().signal;
  const unit = report.meta.unit ? ` ${report.meta.unit}` : "";
  const named = (index) => element("bdi", {}, className(index));
  const many = (n, noun) => `${whole(n)} ${noun}${n === 1 ? "" : "s"}`;

  const place = by("audit");
  load("audit").then(show).catch((error) => fail(place, error));

  function show(found) {
    const order = new Map(found.clusters.map((one, i) => [one.cluster, i]));
    place.append(verdict(found), plane(found, order, spectrum(found)));
    const cards = element("div", { class: "audit-cards" }), shown = { count: 0 };
    const more = element("button", { type: "button", onclick: () => add() }, "More clusters");
    function add() {
      for (const one of found.clusters.slice(shown.count, shown.count + CARDS)) cards.append(card(one, shown.count++));
      more.hidden = shown.count >= found.clusters.length;
    }
    add();
    place.append(element("h2", {}, "Clusters, the most suspicious first"), cards, more);
    all(found);
    if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  }

  // ---- what came out, in words

  function verdict({ alarm, clusters, classes, points, options }) {
    const alarms = clusters.filter((one) => one.alarm), { alpha, material } = options;
    const level = alpha === null || alpha === undefined ? "" : ` A cluster raises an alarm where at least ${percent(material)} of its relevance is out of place, and chance would do that with probability ${number(alpha)} at most.`;
    const counted = element("p", { class: "quiet" }, `${many(points.number.length, "sample")} of ${many(classes.length, "class").replace("classs", "classes")} in ${many(clusters.length, "cluster")}, by what they are decided on.${level}`);
    if (!alarm) return element("section", { class: "audit-verdict" }, element("p", { class: "note" }, element("b", {}, "No alarm."), " No cluster has a material share of its relevance where it should not be. The order below is the order to look at them in."), counted);
    return element("section", { class: "audit-verdict" }, element("div", { class: "problem", role: "status" },
      element("b", {}, alarms.length === 1 ? "Alarm." : `${whole(alarms.length)} alarms.`), " Look at these before the model is used:",
      element("ul", {}, alarms.map((one) => element("li", {}, element("a", { href: `#cluster-${one.cluster}` }, `cluster ${one.cluster}`), `: ${many(one.samples, "sample")} of class `, named(one.class), ` share relevance ${one.place}: `, element("bdi", {}, one.where), ".")))), counted);
  }

  // ---- all samples in the plane

  function plane(found, order, beside) {
    const { points } = found, count = points.number.length, canvas = element("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": `${many(count, "sample")} in the plane, alike ones together; the table at the end of the page lists them` });
    const card = element("div", { class: "audit-hover", hidden: true }), stage = element("div", { class: "audit-stage" }, canvas, card);
    const legend = element("div", { class: "audit-legend", role: "group", "aria-label": "Show one cluster" });
    const ends = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
    const [[x0, x1], [y0, y1]] = [ends(points.x), ends(points.y)];
    const size = Math.min(4, Math.max(1.3, 60 / Math.sqrt(count || 1)));
    let only = null, pointed = null, side = SIDE;
    const x = (i) => ROOM + ((points.x[i] - x0) / (x1 - x0 || 1)) * (side - 2 * ROOM), y = (i) => side - ROOM - ((points.y[i] - y0) / (y1 - y0 || 1)) * (side - 2 * ROOM);
    const rank = (i) => order.get(points.cluster[i]) ?? Infinity;

    function paint() {
      const ratio = devicePixelRatio || 1, ctx = canvas.getContext("2d"), ink = (colour) => { probe.style.color = colour; return getComputedStyle(probe).color; };
      side = Math.max(200, Math.min(SIDE, stage.clientWidth));
      if (canvas.width !== Math.round(side * ratio)) canvas.width = canvas.height = Math.round(side * ratio);
      canvas.style.width = canvas.style.height = `${side}px`;
      ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
      ctx.clearRect(0, 0, side, side);
      const grey = ink("var(--strong)"), page = ink("var(--page)"), black = ink("var(--ink)"), colours = Array.from({ length: COLOURS }, (_, i) => ink(hue(i)));
      const dot = (i, radius) => { ctx.beginPath(); ctx.arc(x(i), y(i), radius, 0, 7); ctx.fill(); };
      // The most suspicious on top.
      for (const i of points.number.map((_, i) => i).sort((a, b) => rank(b) - rank(a))) {
        const faded = only !== null && points.cluster[i] !== only;
        ctx.globalAlpha = faded ? 0.18 : 0.85;
        ctx.fillStyle = colours[rank(i)] ?? grey;
        dot(i, only !== null && !faded ? size + 1 : size);
      }
      ctx.globalAlpha = 1;
      for (const label of labels()) {
        if (only !== null && label.cluster !== only) continue;
        ctx.fillStyle = page;
        ctx.strokeStyle = colours[order.get(label.cluster)];
        ctx.lineWidth = 2;
        ctx.beginPath();
        ctx.arc(label.x, label.y, 9, 0, 7);
        ctx.fill();
        ctx.stroke();
        Object.assign(ctx, { fillStyle: black, font: "600 11px system-ui, sans-serif", textAlign: "center", textBaseline: "middle" });
        ctx.fillText(String(label.cluster), label.x, label.y + 0.5);
      }
      if (pointed !== null) {
        ctx.strokeStyle = black;
        ctx.lineWidth = 1.5;
        ctx.beginPath();
        ctx.arc(x(pointed), y(pointed), size + 3, 0, 7);
        ctx.stroke();
      }
    }
    const probe = element("span", { hidden: true });
    // Numbers in the middle of the first clusters, pushed apart where they would meet.
    function labels() {
      const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
      const made = found.clusters.slice(0, COLOURS).map((one) => {
        const own = points.cluster.flatMap((c, i) => (c === one.cluster ? [i] : []));
        return own.length ? { cluster: one.cluster, x: median(own.map(x)), y: median(own.map(y)) } : null;
      }).filter(Boolean);
      for (let turn = 0; turn < 40; turn++) {
        for (const a of made) for (const b of made) {
          const [dx, dy] = [b.x - a.x, b.y - a.y], apart = Math.hypot(dx, dy);
          if (a === b || apart >= 21) continue;
          const push = (21 - apart) / 2 / (apart || 1);
          a.x -= (dx || 0.1) * push; a.y -= dy * push; b.x += (dx || 0.1) * push; b.y += dy * push;
        }
      }
      return made;
    }
    function nearest(event) {
      const box = canvas.getBoundingClientRect(), at = [event.clientX - box.left, event.clientY - box.top];
      let best = null, least = NEAR;
      for (let i = 0; i < count; i++) {
        if (only !== null && points.cluster[i] !== only) continue;
        const away = Math.hypot(x(i) - at[0], y(i) - at[1]);
        if (away < least) [best, least] = [i, away];
      }
      return best;
    }
    async function point(i) {
      if (i === pointed) return;
      pointed = i;
      paint();
      card.hidden = i === null;
      canvas.style.cursor = i === null ? "" : "pointer";
      if (i === null) return;
      const thumb = element("span", { class: "audit-thumb" });
      framed(thumb);
      card.replaceChildren(thumb, element("bdi", { class: "name" }, points.id[i]), element("span", { class: "quiet" }, points.cluster[i] === null ? "not audited" : `cluster ${points.cluster[i]}`));
      card.style.left = `${Math.min(x(i) + 12, side - 30)}px`;
      card.style.top = `${y(i) + 12}px`;
      await thumbnail(thumb, points.number[i], () => pointed === i);
    }
    canvas.addEventListener("pointermove", (event) => point(nearest(event)));
    canvas.addEventListener("pointerleave", () => point(null));
    canvas.addEventListener("click", (event) => {
      const i = nearest(event);
      if (i !== null) location.href = sample(points.number[i], points.cluster[i]);
    });
    const highlight = (cluster) => {
      only = only === cluster ? null : cluster;
      for (const button of legend.children) button.setAttribute("aria-pressed", String(Number(button.dataset.cluster) === only));
      paint();
    };
    legend.append(...found.clusters.map((one, i) => element("button", { type: "button", "aria-pressed": String(one.cluster === only), "data-cluster": one.cluster, onclick: () => highlight(one.cluster) },
      element("span", { class: "audit-dot", style: { background: hue(i) } }), `${one.cluster} · class `, named(one.class), ` · ${whole(one.samples)}`, one.alarm ? element("b", { class: "wrong" }, " · alarm") : null)));
    new ResizeObserver(paint).observe(stage);
    document.addEventListener("sciexplain:theme", paint);
    for (const [name, scheme] of [["beforeprint", "light"], ["afterprint", ""]]) addEventListener(name, () => { probe.style.colorScheme = scheme; paint(); });
    return element("section", { class: "audit-plane", "aria-label": "All samples" }, element("h2", {}, "All samples"),
      element("p", { class: "quiet" }, `Alike ones lie together${found.options.embedding ? ` (${found.options.embedding === "tsne" ? "t-SNE" : "UMAP"})` : ""}; the axes have no unit. Point at a sample to see it, click to open it; choose a cluster to show it alone.`),
      element("div", { class: "audit-pair" }, stage, element("div", { class: "audit-beside" }, legend, beside)), probe);
  }
  const sample = (n, cluster) => `sample.html#${n}${cluster === null || cluster === undefined ? "" : `&cluster=${cluster}`}`;

  // ---- how many clusters a class has

  function spectrum({ classes, clusters }) {
    if (!classes.length) return "";
    const drawn = element("div", { class: "audit-spectrum chart" }), of = (c) => clusters.filter((one) => one.class === c).length;
    const draw = (one) => {
      const values = one.eigenvalues, k = of(one.class), [width, height, left, bottom, top] = [340, 190, 44, 32, 10];
      const highest = Math.max(...values, 1e-9), step = (width - left - 14) / Math.max(1, values.length - 1);
      const x = (i) => left + i * step, y = (v) => top + (1 - v / highest) * (height - top - bottom);
      const ticks = [0, 0.5, 1].map((share) => share * highest);
      const gap = k < values.length ? [svg("line", { class: "audit-gap", x1: x(k - 0.5), x2: x(k - 0.5), y1: top, y2: height - bottom }), svg("text", { x: x(k - 0.5) + 5, y: height - bottom - 6 }, `gap ${number(one.eigengap, 2)}`)] : null;
      drawn.replaceChildren(svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Smallest eigenvalues of class ${className(one.class)}: ${values.map((v) => number(v, 2)).join(", ")}; ${many(k, "cluster")}` },
        ticks.map((v) => [svg("line", { class: v ? "grid" : "axis", x1: left, x2: width - 14, y1: y(v), y2: y(v) }), svg("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, number(v, 2))]),
        gap ?? "", svg("polyline", { class: "audit-line", points: values.map((v, i) => `${x(i)},${y(v)}`).join(" ") }),
        values.map((v, i) => [svg("circle", { class: "audit-mark", cx: x(i), cy: y(v), r: 3.5 }, svg("title", {}, `${i + 1}: ${number(v)}`)), svg("text", { x: x(i), y: height - bottom + 16, "text-anchor": "middle" }, i + 1)])));
    };
    const choose = element("select", { "aria-label": "Class", onchange: () => draw(classes[Number(choose.value)]) }, classes.map((one, i) => element("option", { value: i }, `${className(one.class)} (${many(one.samples, "sample")}, ${many(of(one.class), "cluster")})`)));
    const first = Math.max(0, classes.findIndex((one) => one.class === clusters[0]?.class));
    choose.value = first;
    draw(classes[first]);
    return element("section", { "aria-label": "How many clusters" }, element("h3", {}, "How many clusters"),
      element("p", { class: "quiet" }, "The smallest eigenvalues of the Laplacian of each class's neighbours: as many clusters as there are before the widest gap."),
      element("label", {}, "Class ", choose), drawn);
  }

  // ---- one cluster

  function card(one, rank) {
    const told = one.parts.filter(([, value]) => value >= 0.05);
    const bar = ([name, value, words]) => element("div", { class: "audit-part" }, element("span", { class: "audit-track", role: "img", "aria-label": `${name}: ${number(value, 2)} of 1`, title: `${name}: ${number(value, 2)} of 1` }, element("span", { class: "audit-fill", style: { width: `${Math.min(100, 100 * value)}%` } })), element("span", { class: "audit-words" }, words));
    const mean = element("div", { class: "audit-mean" }), members = element("div", { class: "audit-members" });
    const made = element("section", { class: `audit-card${one.alarm ? " audit-alarm" : ""}`, id: `cluster-${one.cluster}`, "aria-label": `Cluster ${one.cluster}` },
      element("h3", {}, element("span", { class: "audit-dot", style: { background: hue(rank) } }), `${one.cluster} · class `, named(one.class), one.alarm ? element("strong", { class: "wrong" }, " · alarm") : null),
      element("p", {}, element("a", { href: `gallery.html#cluster=${one.cluster}` }, many(one.samples, "sample")), `, ${percent(one.share)} of its class · suspicion ${number(one.suspicion, 2)} of 1`, one.alarm ? ` · p ${one.p === 0 ? "< 10⁻¹⁵" : number(one.p, 2)}` : "", " · ", element("bdi", {}, one.where)),
      element("div", { class: "audit-body" }, element("div", { class: "audit-parts" }, told.map(bar)), mean, members));
    drawMean(mean, one);
    const fillIn = representatives(members, one);
    const wait = new IntersectionObserver(([seen]) => {
      if (!seen.isIntersecting) return;
      wait.disconnect();
      fillIn();
    }, { rootMargin: "400px" });
    wait.observe(made);
    return made;
  }

  // A view may draw the mean of a cluster itself, of which `of` is the shape before neighbours were summed, mean(place, {of, shape, values}, context); pictures are drawn here.
  function drawMean(mean, { mean: given, samples }) {
    if (!given) return;
    const { shape, values } = given, limit = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0) || 1, caption = `mean of ${many(samples, "sample")}, ±${number(limit, 2)}${unit}`;
    if (view.mean) {
      view.mean(mean, given, context(forever));
      mean.append(element("span", { class: "quiet" }, caption));
    } else if (shape.length === 2) {
      const [height, width] = shape, canvas = element("canvas", { width, height, class: "audit-map", role: "img", "aria-label": caption }), ctx = canvas.getContext("2d"), image = ctx.createImageData(width, height);
      values.forEach((v, i) => image.data.set([...sciexplain.rgb(v / limit), 255], 4 * i));
      ctx.putImageData(image, 0, 0);
      const scale = 110 / Math.max(width, height);
      Object.assign(canvas.style, { width: `${width * scale}px`, height: `${height * scale}px` });
      mean.append(canvas, sciexplain.colourBar(limit, `mean of ${many(samples, "sample")}${unit && `,${unit}`}`));
    }
  }

  // Frames of their full size at once, so that nothing below moves when what is in them comes, by the function returned.
  function representatives(members, one) {
    if (!one.members.length) members.append(element("p", { class: "quiet" }, "None of its samples has a drawing in this report."));
    const frames = one.members.map((n) => {
      const thumb = element("span", { class: "audit-thumb" }), name = element("bdi", { class: "name" }, "\u00a0");
      framed(thumb);
      const link = element("a", { class: "audit-member", href: sample(n, one.cluster) }, thumb, name);
      members.append(link);
      return async () => {
        thumbnail(thumb, n);
        const [row] = await rows.at([await rows.position(n)]);
        name.textContent = link.title = row.name;
      };
    });
    return () => Promise.all(frames.map((fill) => fill())).catch((error) => fail(members, error));
  }
  function framed(thumb) {
    const { width = 96, aspect = "1 / 1" } = view.tile ?? {};
    thumb.style.width = `${Math.min(width, 190)}px`;
    thumb.style.aspectRatio = aspect;
  }
  async function thumbnail(thumb, n, still = () => true) {
    try {
      const held = await rows.sample(n);
      if (held && still()) await view.thumbnail?.(thumb, held, context(forever));
    } catch (error) { thumb.textContent = "cannot be drawn"; thumb.title = String(error.message ?? error); }
  }

  // ---- tables: of clusters, and of samples, which is also the plane for those who do not see it

  function all({ clusters, points }) {
    const names = [...new Set(clusters.flatMap((one) => one.parts.map(([name]) => name)))];
    const columns = [["cluster", "number"], ["class"], ["samples", "number"], ["share", "number", "%"], ["suspicion", "number"], ["alarm"], ["p", "number"], ["where"], ...names.map((name) => [name, "number"])];
    const lines = clusters.map((one) => {
      const values = Object.fromEntries(one.parts);
      return [one.cluster, className(one.class), one.samples, 100 * one.share, one.suspicion, one.alarm ? "alarm" : "", one.p, one.where, ...names.map((name) => values[name] ?? null)];
    });
    const described = (list) => list.map(([name, kind = "text", of = ""]) => ({ name, kind, unit: of }));
    const first = element("section", { class: "audit-all" }, element("h2", {}, "All clusters"), element("p", { class: "quiet" }, "Share: of the samples of its class. The last columns say what speaks against each cluster, from 0 to 1; suspicion is the mean of them."));
    const second = element("details", {}, element("summary", {}, "All samples as a table"));
    place.append(first, second);
    table(first, { columns: described(columns), rows: lines, name: "clusters", label: "All clusters" });
    second.addEventListener("toggle", () => {
      if (second.open && !second.querySelector("table")) {
        table(second, {
          columns: described([["sample", "sample"], ["name"], ["cluster", "number"], ["x", "number"], ["y", "number"]]), name: "samples", label: "All samples",
          rows: points.number.map((n, i) => [n, points.id[i], points.cluster[i], points.x[i], points.y[i]]),
        });
      }
    });
  }
})();
