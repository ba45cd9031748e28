"use strict";
// A table to sort, filter, page through and save as CSV.
(() => {
  const { element, number, whole, csv, download, className } = sciexplain;
  const FEW = 12; // rows that need no filter
  const natural = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const PICTURE = /^data:image\/(svg\+xml|png)[;,]/;

  const none = (x) => x === null || x === undefined || x === "" || Number.isNaN(x);
  const called = (value) => (none(value) ? "" : typeof value === "number" ? className(value) : String(value));
  const WORDS = ["text", "class"];
  const CELLS = {
    text: (value) => element("td", {}, element("bdi", {}, none(value) ? "" : String(value))),
    class: (value) => element("td", {}, element("bdi", {}, called(value))),
    number(value) {
      const exact = typeof value === "number" ? String(value) : null;
      return element("td", { class: "number", title: exact }, typeof value === "string" ? value : number(value));
    },
    sample(value) {
      const link = () => element("a", { href: `sample.html#${Number(value)}` }, whole(Number(value)));
      return element("td", { class: "number" }, none(value) ? null : link());
    },
    image(value, alt) {
      const shown = typeof value === "string" && PICTURE.test(value);
      return element("td", { class: "image" }, shown ? element("img", { src: value, alt }) : null);
    },
  };
  const titled = ({ name, unit }) => (unit ? `${name} (${unit})` : name);

  // Ascending or descending; what is missing comes last, either way.
  function comparing(column, { kind }, down) {
    const compare = kind === "text" ? natural.compare : (a, b) => a - b;
    return (a, b) => {
      const gone = none(a[column]) - none(b[column]);
      if (gone || none(a[column])) return gone;
      return down ? compare(b[column], a[column]) : compare(a[column], b[column]);
    };
  }

  // columns: [{name, kind, unit}]; rows: [[…]]; name: of the file to save; onrow(index, tr): called for rows shown.
  // Returns {show(index)}, which turns to a row's page and gives its <tr>, or null where it is filtered away.
  sciexplain.table = (place, { columns, rows, name, label = name, page = 25, onrow = null }) => {
    let sort = null, down = false, text = "", first = 0;
    let order = rows.map((_, i) => i);

    const heads = columns.map((column, c) => {
      const left = WORDS.includes(column.kind) || column.kind === "image";
      const title = element("bdi", {}, titled(column));
      const sorts = column.kind !== "image";
      return element("th", { scope: "col", class: left ? null : "number" },
        sorts ? element("button", { type: "button", onclick: () => turn(c) }, title) : title);
    });
    const body = element("tbody");
    const count = element("span", { class: "quiet", "aria-live": "polite" });
    const button = (text, said, onclick) => element("button", { type: "button", "aria-label": said, onclick }, text);
    const back = button("←", "Previous rows", () => move(-page));
    const on = button("→", "Next rows", () => move(page));
    const field = element("input", { type: "search", placeholder: "filter", "aria-label": `Filter ${label}` });
    field.addEventListener("input", () => { text = field.value.trim().toLowerCase(); arrange(); });
    place.append(
      element("div", { class: "table-tools" },
        rows.length > FEW ? field : null, count,
        rows.length > page ? element("span", { class: "pair" }, back, on) : null,
        button("CSV", null, save)),
      element("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": label },
        element("table", { "aria-label": label }, element("thead", {}, element("tr", {}, heads)), body)),
    );

    function save() {
      const kept = columns.map((_, c) => c).filter((c) => columns[c].kind !== "image");
      const cell = (i, c) => (columns[c].kind === "class" ? called(rows[i][c]) : rows[i][c]);
      const text = csv(kept.map((c) => titled(columns[c])), order.map((i) => kept.map((c) => cell(i, c))));
      download(`${name}.csv`, text, "text/csv");
    }
    function turn(c) {
      if (sort === c) down = !down;
      else { sort = c; down = columns[c].kind === "number"; }
      arrange();
    }
    function move(by) {
      first = Math.max(0, Math.min(first + by, Math.floor((order.length - 1) / page) * page));
      draw();
    }
    function arrange() {
      const words = (value, c) => (columns[c].kind === "class" ? called(value) : String(value ?? ""));
      const holds = (value, c) => columns[c].kind !== "image" && words(value, c).toLowerCase().includes(text);
      order = rows.map((_, i) => i);
      if (text) order = order.filter((i) => rows[i].some(holds));
      if (sort !== null) {
        const compare = comparing(sort, columns[sort], down);
        order.sort((a, b) => compare(rows[a], rows[b]));
      }
      first = 0;
      draw();
    }
    function draw() {
      heads.forEach((head, c) => {
        head.setAttribute("aria-sort", sort !== c ? "none" : down ? "descending" : "ascending");
      });
      const shown = order.slice(first, first + page);
      body.replaceChildren(...shown.map((i) => {
        const cells = rows[i].map((value, c) => CELLS[columns[c].kind ?? "text"](value, columns[c].name));
        const made = element("tr", {}, cells);
        onrow?.(i, made);
        return made;
      }));
      const all = order.length === rows.length ? whole(rows.length) : `${whole(order.length)} of ${whole(rows.length)}`;
      count.textContent = order.length > page
        ? `${whole(first + 1)}–${whole(first + shown.length)} of ${all}`
        : `${all} ${rows.length === 1 ? "row" : "rows"}`;
      back.disabled = first === 0;
      on.disabled = first + page >= order.length;
    }
    arrange();

    return {
      show(i) {
        const at = order.indexOf(i);
        if (at < 0) return null;
        if (at < first || at >= first + page) { first = Math.floor(at / page) * page; draw(); }
        return body.children[at - first];
      },
    };
  };
})();
