"use strict";
// The first page: distributions that lead into the gallery, confusions, failures.
(() => {
  const { by, element, number, whole, percent, className, load, fail, histogram, bars, table } = sciexplain;
  const report = sciexplain.report();
  const found = sciexplain.received("overview");
  const unit = report.meta.unit ? ` (${report.meta.unit})` : "";
  const gallery = (values) => `gallery.html#${new URLSearchParams(values)}`;

  // ---- distributions

  function bins({ edges, counts, below = 0, above = 0 }, key, label = (x) => number(x, 3)) {
    const to = (range) => gallery({ [key]: range });
    const made = counts.map((count, i) => ({
      low: edges[i],
      high: edges[i + 1],
      count,
      name: `${key} ${label(edges[i])} to ${label(edges[i + 1])}`,
      href: to(`${edges[i]}..${edges[i + 1]}`),
    }));
    const first = edges[0], last = edges.at(-1);
    if (below) made.unshift({ label: "<", count: below, name: `${key} below ${label(first)}`, href: to(`..${first}`) });
    if (above) made.push({ label: "≥", count: above, name: `${key} from ${label(last)}`, href: to(`${last}..`) });
    return made;
  }

  function drawPredictions(place) {
    const judged = found.accuracy !== null;
    const rows = [...found.classes].sort((a, b) => b.predicted - a.predicted).map((one) => ({
      name: className(one.class),
      count: one.predicted,
      href: gallery({ prediction: one.class }),
      note: judged && one.predicted ? percent(one.right / one.predicted) : "",
    }));
    bars(place, { title: "Predictions", note: judged ? "and how many of them are right" : "", rows });
  }

  function drawProbabilities(place) {
    const { edges, median } = found.probability;
    const made = bins(found.probability, "probability", String);
    made.at(-1).href = gallery({ probability: `${edges.at(-2)}..` }); // 1 is in it
    const note = `median ${percent(median)}`;
    histogram(place, { title: "Probability of the prediction", note, axis: "probability", bins: made, edge: String });
  }

  function drawScores(place) {
    const note = `median ${number(found.score.median)}`, all = bins(found.score, "score");
    histogram(place, { title: "Score that is explained", note, axis: `score${unit}`, bins: all });
  }

  // Powers of ten on the axis, and apart from them what is exactly 0.
  function drawGaps(place) {
    const made = bins(found.gap, "gap", (x) => number(x, 2));
    const only = gallery({ gap: `0..${Number.MIN_VALUE}` });
    if (found.gap.zero) made.unshift({ label: "0", count: found.gap.zero, name: "gap of exactly 0", href: only });
    const edge = (x) => {
      const power = Math.round(Math.log10(x));
      return Math.abs(Math.log10(x) - power) < 1e-3 ? number(10 ** power, 1).replace("1×", "") : "";
    };
    const note = "score minus all relevance accounted for";
    histogram(place, { title: "Ledger gap", note, axis: `|gap|${unit}`, bins: made, edge, even: false });
  }

  const charts = by("charts");
  if (found.classes) drawPredictions(charts);
  if (found.probability) drawProbabilities(charts);
  if (found.score) drawScores(charts);
  if (found.gap) drawGaps(charts);

  // ---- labels against predictions

  const text = (name) => ({ name, kind: "text" });

  function drawConfusion(place, { classes, matrix, pairs }) {
    place.hidden = false;
    const { right, judged } = found.accuracy;
    const told = `${percent(right / judged)} of ${whole(judged)} labelled samples are right.`;
    place.append(element("h2", {}, "Labels and predictions"), element("p", { class: "quiet" }, told));
    if (matrix) return place.append(grid(classes, matrix));
    const rows = pairs.map(([label, prediction, count]) => [className(label), className(prediction), count]);
    const columns = [text("label"), text("prediction"), { name: "samples", kind: "number" }];
    return table(place, { columns, rows, name: "confusions", label: "Most frequent confusions" });
  }

  function grid(classes, counts) {
    const largest = Math.max(1, ...counts.flat());
    // right ones blue, wrong ones red; darker for more, by the root, as the few wrong ones matter
    const shade = (count, right) => {
      const share = Math.round(8 + 42 * Math.sqrt(count / largest));
      return `color-mix(in srgb, var(${right ? "--right" : "--wrong"}) ${share}%, transparent)`;
    };
    const cell = (count, label, prediction) => {
      if (!count) return element("td", { class: "zero" }, "0");
      const name = `label ${className(label)}, prediction ${className(prediction)}: ${whole(count)}`;
      const said = { "aria-label": name, title: name };
      return element("td", { style: { "background-color": shade(count, label === prediction) } },
        element("a", { href: gallery({ label, prediction }), ...said }, whole(count)));
    };
    const head = (scope, of) => element("th", { scope }, element("bdi", { title: className(of) }, className(of)));
    const corner = element("th", { scope: "col", class: "quiet" }, "label ↓", element("br"), "prediction →");
    const rows = counts.map((row, i) => element("tr", {},
      head("row", classes[i]), row.map((count, j) => cell(count, classes[i], classes[j]))));
    const made = element("table", { "aria-label": "Rows are labels, columns predictions" },
      element("thead", {}, element("tr", {}, corner, classes.map((of) => head("col", of)))),
      element("tbody", {}, rows));
    return element("div", { tabindex: "0", role: "region", "aria-label": "Labels and predictions" }, made);
  }

  if (found.confusion) drawConfusion(by("confusion"), found.confusion);

  // ---- failures, group by group

  const PAGE = 50;
  const { failures } = report;

  async function listed(places) {
    const shards = [...new Set(places.map((place) => Math.floor(place / failures.size)))];
    const names = shards.map((shard) => `failures/${String(shard).padStart(5, "0")}`);
    const parts = await Promise.all(names.map(load));
    const part = new Map(shards.map((shard, i) => [shard, parts[i]]));
    return places.map((place) => {
      const of = part.get(Math.floor(place / failures.size)), i = place % failures.size;
      return [of.id[i], of.input[i], of.reason[i]];
    });
  }

  function group(place, { count, start }) {
    let first = 0;
    const list = element("div");
    const told = element("span", { class: "quiet", "aria-live": "polite" });
    const button = (text, said, by) => {
      return element("button", { type: "button", "aria-label": said, onclick: () => { first += by; show(); } }, text);
    };
    const back = button("←", "Previous samples", -PAGE), on = button("→", "Next samples", PAGE);
    const turn = count > PAGE ? element("span", { class: "pair" }, back, on) : null;
    place.append(element("div", { class: "table-tools" }, told, turn), list);

    const row = (texts) => element("tr", {}, texts.map((text) => element("td", {}, element("bdi", {}, text ?? ""))));
    async function show() {
      const places = Array.from({ length: Math.min(PAGE, count - first) }, (_, i) => start + first + i);
      told.textContent = `${whole(first + 1)}–${whole(first + places.length)} of ${whole(count)}`;
      back.disabled = first === 0;
      on.disabled = first + PAGE >= count;
      try {
        const rows = (await listed(places)).map(row);
        const heads = ["sample", "input", "reason"].map((head) => element("th", { scope: "col" }, head));
        list.replaceChildren(element("div", { class: "table-scroll" },
          element("table", {}, element("thead", {}, element("tr", {}, heads)), element("tbody", {}, rows))));
      } catch (error) {
        fail(list, error);
      }
    }
    show();
  }

  function reason(one) {
    const place = element("div", { hidden: true });
    const open = element("button", { type: "button", "aria-expanded": "false" },
      `${whole(one.count)} ${one.count === 1 ? "sample" : "samples"}: `,
      element("bdi", {}, one.reason), element("span", { class: "quiet" }, ` (${one.stage})`));
    open.addEventListener("click", () => {
      place.hidden = !place.hidden;
      open.setAttribute("aria-expanded", String(!place.hidden));
      if (!place.hasChildNodes()) group(place, one);
    });
    return [open, place];
  }

  if (failures.count) by("failures").append(element("div", { class: "reasons" }, failures.groups.map(reason)));

  // ---- operations without a rule

  if (report.unruled.length) {
    const columns = [text("operation"), text("module"), { name: "times", kind: "number" }];
    const label = "Operations without a rule";
    table(by("unruled"), { columns, rows: report.unruled, name: "operations_without_a_rule", label });
  }
})();
