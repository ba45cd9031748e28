"use strict";
// All rows, to filter, sort and page through; the address holds what is asked for, so that the back button works.
(() => {
  const { rows, by, element, number, signed, whole, percent, className, fail, on } = sciexplain;
  const report = sciexplain.report();
  const view = sciexplain.views[report.view] ?? {};
  const PAGE = report.page;
  const READ_AHEAD = 2_000_000; // rows; of more, only what is asked for is read
  let state = rows.parse(location.hash.slice(1));
  let order = null; // positions, or null for all rows as they come
  let ordered = ""; // what it was made for
  let showing = new AbortController(); // aborted when another page is shown

  // A step that the back button undoes, or one that takes the place of the last, as typing does.
  function go(changes, { replace = false } = {}) {
    const hash = `#${rows.format({ ...state, page: 1, ...changes })}`;
    if (replace) location.replace(hash);
    else location.hash = hash;
  }
  const controls = sciexplain.filters(by("filters"), go);

  // ---- tiles

  const tiles = by("tiles");
  if (view.tile) {
    tiles.style.setProperty("--tile", `${view.tile.width}px`);
    tiles.style.setProperty("--aspect", view.tile.aspect);
  }
  const unit = report.meta.unit ? ` ${report.meta.unit}` : "";

  function mark(row) {
    if (row.right === null) return null;
    if (row.right) return element("span", { class: "right", title: "right" }, "✓ ");
    return element("span", { class: "wrong", title: `wrong: the label is ${className(row.label)}` }, "✗ ");
  }
  function said(row) {
    if (row.prediction === null) return `score ${signed(row.score)}${unit}`;
    const sure = row.probability === null ? null : ` · ${percent(row.probability)}`;
    return [mark(row), element("bdi", {}, className(row.prediction)), sure];
  }
  function more(row) {
    if (state.sort === "gap") return `gap ${number(row.gap, 2)}`;
    if (state.sort === "seconds") return `${number(1000 * row.seconds, 3)} ms`;
    if (state.sort === "cluster") return `cluster ${row.cluster ?? "–"}`;
    if (row.right === false) return `label ${className(row.label)}`;
    return row.prediction === null ? `number ${whole(row.number)}` : `score ${signed(row.score)}`;
  }
  // Long names differ at their ends.
  const LONGEST = 21;
  function short(name) {
    const signs = Array.from(name);
    return signs.length <= LONGEST ? name : `${signs.slice(0, 8).join("")}…${signs.slice(8 - LONGEST + 1).join("")}`;
  }
  function tile(row, hash) {
    const thumb = element("span", { class: "thumb" });
    const href = `sample.html#${row.number}${hash ? `&${hash}` : ""}`;
    const link = element("a", { class: "tile", href, title: row.name },
      thumb, element("bdi", { class: "name" }, short(row.name)),
      element("span", { class: "said" }, said(row)), element("bdi", { class: "more" }, more(row)));
    return { row, thumb, made: element("li", {}, link) };
  }
  async function thumbnail({ row, thumb }, signal) {
    try {
      const sample = row.detail && view.thumbnail ? await rows.sample(row.number) : null;
      if (signal.aborted) return;
      if (sample === null) thumb.textContent = `no. ${whole(row.number)}`;
      else await view.thumbnail(thumb, sample, sciexplain.context(signal));
    } catch (error) {
      if (signal.aborted) return;
      thumb.textContent = "cannot be drawn";
      thumb.title = String(error.message ?? error);
    }
  }

  const total = () => (order ? order.length : rows.count);
  const pages = () => Math.max(1, Math.ceil(total() / PAGE));

  async function draw() {
    showing.abort();
    showing = new AbortController();
    const { signal } = showing;
    const shown = Math.min(state.page, pages()), first = (shown - 1) * PAGE;
    const places = Array.from({ length: Math.max(0, Math.min(PAGE, total() - first)) }, (_, i) => first + i);
    const there = await rows.at(places.map((place) => (order ? order[place] : place)));
    if (signal.aborted) return;
    const hash = current();
    const made = there.map((row) => tile(row, hash));
    const none = element("li", { class: "quiet" }, rows.complete() ? "No sample fits." : "");
    tiles.start = first + 1;
    tiles.replaceChildren(...(made.length ? made.map((one) => one.made) : [none]));
    const part = total() === rows.count ? whole(total()) : `${whole(total())} of ${whole(rows.count)}`;
    by("count").textContent = `${part} ${report.noun}`;
    by("page").value = shown;
    by("page").max = pages();
    by("pages").textContent = `of ${whole(pages())}`;
    by("back").disabled = shown <= 1;
    by("on").disabled = shown >= pages();
    tiles.dataset.shown = rows.format(state); // the address that this is the page of
    performance.mark("sciexplain:tiles");
    await Promise.all(made.map((one) => thumbnail(one, signal)));
    if (!signal.aborted) performance.mark("sciexplain:thumbnails");
  }

  // ---- from the address to the page

  const current = () => rows.format(state, { page: false });
  async function show() {
    state = rows.parse(location.hash.slice(1));
    controls.show(state);
    const asked = current();
    try {
      if (rows.natural(state)) order = null;
      else if (asked !== ordered || order === null) await arrange(asked);
      if (asked !== current()) return; // something else was asked for meanwhile
      ordered = asked;
      tiles.removeAttribute("aria-busy");
      await draw();
    } catch (error) {
      fail(tiles, error);
    }
  }
  // What fits so far is shown while the rest is read; what is sorted has to wait for all.
  async function arrange(asked) {
    let last = performance.now();
    const partly = () => {
      if (asked !== current() || state.sort !== "number" || state.down || performance.now() - last < 400) return;
      last = performance.now();
      order = rows.select(state);
      draw().catch(() => {}); // the whole of it comes, or says what is wrong
    };
    if (!rows.complete()) {
      tiles.setAttribute("aria-busy", "true");
      await everything(partly);
    }
    if (asked === current()) order = rows.select(state);
  }
  function everything(listener) {
    return rows.all((read) => {
      by("progress").textContent = read < rows.count ? `reading ${percent(read / rows.count)} of the rows` : "";
      listener?.();
    });
  }

  // ---- keys and pages

  function turn(by) {
    const page = state.page + by;
    if (page >= 1 && page <= pages()) go({ page });
  }
  // From tile to tile; up and down by as many as stand in a row.
  function walk(steps, { rows = false } = {}) {
    const links = [...tiles.querySelectorAll("a.tile")];
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const top = (link) => link.getBoundingClientRect().top;
    const across = rows ? links.filter((link) => Math.abs(top(link) - top(links[0])) < 2).length : 1;
    const next = at < 0 ? 0 : at + steps * across;
    links[Math.min(links.length - 1, Math.max(0, next))].focus();
  }
  const inside = () => tiles.contains(document.activeElement);
  on(["j", "ArrowRight"], "next sample", () => walk(1));
  on(["k", "ArrowLeft"], "previous sample", () => walk(-1));
  on(["ArrowDown"], "a row down", () => (inside() ? walk(1, { rows: true }) : false));
  on(["ArrowUp"], "a row up", () => (inside() ? walk(-1, { rows: true }) : false));
  on(["Enter"], "open the sample", () => false);
  on(["n"], "next page", () => turn(1));
  on(["p"], "previous page", () => turn(-1));
  on(["/"], "filter by name", () => controls.text.select());
  on(["Escape"], "leave the filter", () => {
    return document.activeElement?.closest("#filters") ? document.activeElement.blur() : false;
  });
  by("back").addEventListener("click", () => turn(-1));
  by("on").addEventListener("click", () => turn(1));
  by("page").addEventListener("change", () => go({ page: Math.max(1, Math.floor(Number(by("page").value)) || 1) }));

  addEventListener("hashchange", show);
  // The first page is there before anything else is read; the rest comes in the background.
  show().then(() => {
    if (rows.count <= READ_AHEAD) everything().catch((error) => fail(by("progress"), error));
  });
})();
