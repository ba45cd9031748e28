"use strict";
// One sample: what the model said of it, and why.
(() => {
  const { rows, by, element, number, signed, whole, percent, className, download, csv, fail, on } = sciexplain;
  const report = sciexplain.report();
  const view = sciexplain.views[report.view] ?? {};
  let showing = new AbortController(); // aborted when another sample is shown
  let state = rows.parse(""); // the gallery's, whose order previous and next follow
  let order = null, ordered = ""; // positions in that order, or null for all rows as they come; and what it is of
  let at = -1; // this sample's place in it

  // sample.html#NUMBER, and behind it the gallery's address
  function address() {
    const [given, ...rest] = location.hash.slice(1).split("&");
    return { number: /^\d+$/.test(given) ? Number(given) : null, search: rest.join("&") };
  }

  async function show() {
    showing.abort();
    showing = new AbortController();
    const { signal } = showing;
    const { number: wanted, search } = address();
    state = rows.parse(search);
    try {
      if (wanted === null) return absent("This page's address ends in the number of a sample, such as sample.html#0.");
      const position = await rows.position(wanted);
      if (signal.aborted) return;
      if (position < 0) return absent(`No sample has the number ${whole(wanted)}; did it fail? See the overview.`);
      const [row] = await rows.at([position]);
      head(row);
      steps(position, search, signal).catch((error) => { if (!signal.aborted) fail(by("place"), error); });
      const sample = row.detail ? await rows.sample(wanted) : null;
      if (signal.aborted) return;
      await body(row, sample, signal);
    } catch (error) {
      if (!signal.aborted) fail(by("view"), error);
    }
  }

  function clear() {
    for (const id of ["facts", "view", "numbers", "downloads"]) by(id).replaceChildren();
    by("input").textContent = "";
  }

  function absent(why) {
    clear();
    title("No sample");
    by("place").textContent = "";
    for (const id of ["previous", "next"]) by(id).disabled = true;
    fail(by("view"), why);
  }

  function title(text) {
    by("name").replaceChildren(element("bdi", {}, text));
    document.title = `${text} – ${report.title}`;
  }

  function outcome(row) {
    if (row.right === null) return null;
    return [" ", element("span", { class: row.right ? "right" : "wrong" }, row.right ? "✓ right" : "✗ wrong")];
  }
  function facts(row) {
    const name = (index) => element("bdi", {}, className(index));
    const unit = report.meta.unit ? ` ${report.meta.unit}` : "";
    const sure = row.probability === null ? null : ` (${percent(row.probability)})`;
    const several = row.prediction !== null || report.classes || report.filters.target; // outputs, one explained
    const cluster = () => element("a", { href: `gallery.html#cluster=${row.cluster}` }, String(row.cluster));
    return [
      row.prediction !== null && ["prediction", [name(row.prediction), sure, outcome(row)]],
      row.label !== null && ["label", name(row.label)],
      row.target !== null && several && ["explained", name(row.target)],
      row.runner_up !== null && ["second", name(row.runner_up)],
      ["score", `${signed(row.score)}${unit}`],
      row.gap !== null && ["ledger gap", number(row.gap, 2)],
      row.cluster !== null && ["cluster", cluster()],
      row.seconds !== null && ["time", `${number(1000 * row.seconds, 3)} ms`],
    ].filter(Boolean);
  }

  function head(row) {
    clear();
    title(row.name);
    const input = row.name === row.id ? row.input : row.id;
    const others = input === row.name ? [] : [" · ", element("bdi", {}, input)];
    by("input").replaceChildren(`Sample ${whole(row.number)}`, ...others);
    const fact = ([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value));
    by("facts").replaceChildren(...facts(row).map(fact));
  }

  // ---- previous and next

  async function steps(position, search, signal) {
    by("back").href = `gallery.html${search ? `#${search}` : ""}`;
    const asked = rows.format(state, { page: false });
    if (asked !== ordered) order = null;
    if (!rows.natural(state) && !order) {
      at = -1;
      by("place").textContent = "…";
      for (const id of ["previous", "next"]) by(id).disabled = true;
      await rows.all();
      if (signal.aborted) return;
      order = rows.select(state);
    }
    ordered = asked;
    at = order ? order.indexOf(position) : position;
    const of = order ? order.length : rows.count;
    by("place").textContent = at < 0 ? "not in the gallery's selection" : `${whole(at + 1)} of ${whole(of)}`;
    by("previous").disabled = at <= 0;
    by("next").disabled = at < 0 || at >= of - 1;
    const page = at < 0 ? 1 : Math.floor(at / report.page) + 1;
    const back = rows.format({ ...state, page });
    by("back").href = `gallery.html${back ? `#${back}` : ""}`;
  }

  async function step(by) {
    const of = order ? order.length : rows.count;
    if (at < 0 || at + by < 0 || at + by >= of) return;
    at += by; // at once, as the key may be pressed again before the row is there
    const [row] = await rows.at([order ? order[at] : at]);
    location.replace(`#${row.number}${ordered ? `&${ordered}` : ""}`); // back leads to where one came from
  }

  // ---- the sample

  async function body(row, sample, signal) {
    const context = sciexplain.context(signal);
    if (sample === null) {
      by("view").replaceChildren(element("p", { class: "quiet" }, undrawn()));
    } else if (view.draw) {
      await view.draw(by("view"), sample, context);
      if (signal.aborted) return;
      const table = view.numbers?.(sample, context);
      if (table) {
        by("numbers").append(element("h2", {}, table.title));
        sciexplain.table(by("numbers"), { ...table, name: file(row, table.title), label: table.title });
      }
    }
    const { detail, ...values } = row;
    const heads = Object.keys(values);
    const cells = Object.values(values).map((value) => (typeof value === "boolean" ? String(value) : value));
    const json = () => JSON.stringify(sample ? { ...values, sample } : values, null, 1);
    const save = (ending, type, text) => {
      const onclick = () => download(`${file(row)}.${ending}`, text(), type);
      return element("button", { type: "button", onclick }, ending.toUpperCase());
    };
    by("downloads").replaceChildren("Save this sample: ",
      save("json", "application/json", json), " ", save("csv", "text/csv", () => csv(heads, [cells])));
  }
  function undrawn() {
    const { count } = report.samples;
    const others = count ? `${whole(count)} of ${whole(rows.count)} samples have one` : "No sample has one";
    return `This sample has no drawing in this report. ${others}; --samples says how many may.`;
  }
  function file(row, what = "") {
    const words = ["sample", row.number, row.id, what].join("_");
    return words.replace(/[^A-Za-z0-9._-]+/g, "_").slice(0, 80).replace(/_+$/, "");
  }

  by("previous").addEventListener("click", () => step(-1));
  by("next").addEventListener("click", () => step(1));
  on(["j", "ArrowRight"], "next sample", () => { step(1); });
  on(["k", "ArrowLeft"], "previous sample", () => { step(-1); });
  on(["g"], "back to the gallery", () => { location.href = by("back").href; });
  addEventListener("hashchange", show);
  show();
})();
