"use strict";
// What every page of a report shares. Data lie in data/NAME.js, each one call of sciexplain.receive: pages that are
// opened from disk may add scripts, but not fetch.
globalThis.sciexplain = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const MINUS = "−";

  // ---- data and scripts

  const policy = globalThis.trustedTypes
    ? trustedTypes.createPolicy("sciexplain", { createScriptURL: (url) => url })
    : { createScriptURL: (url) => url };
  const NAME = /^[A-Za-z0-9_][A-Za-z0-9_./-]*$/;
  const loaded = new Map(), arrived = new Map();

  function script(url) {
    return new Promise((resolve, reject) => {
      const added = document.createElement("script");
      added.src = policy.createScriptURL(url);
      added.async = true;
      added.onload = () => { added.remove(); resolve(); };
      added.onerror = () => { added.remove(); reject(new Error(`${url} is missing`)); };
      document.head.append(added);
    });
  }

  function checked(name) {
    if (!NAME.test(name) || name.includes("..")) throw new Error(`${name} is no name of data`);
    return name;
  }

  // The content of data/NAME.js, which is kept until forget(name).
  function load(name) {
    if (!loaded.has(name)) {
      const promise = arrived.has(name) ? Promise.resolve() : script(`data/${checked(name)}.js`);
      loaded.set(name, promise.then(() => {
        if (!arrived.has(name)) throw new Error(`data/${name}.js is damaged`);
        return arrived.get(name);
      }));
    }
    return loaded.get(name);
  }
  const forget = (name) => { loaded.delete(name); arrived.delete(name); };

  // Text is JSON, which a script may hold without harm: as a literal, a key "__proto__" would be more than a key.
  const receive = (name, data) => { arrived.set(name, typeof data === "string" ? JSON.parse(data) : data); };
  const received = (name) => arrived.get(name);

  // A script of assets/ that is not part of the page, such as a large library.
  const assets = new Map();
  function asset(name) {
    if (!assets.has(name)) assets.set(name, script(`assets/${checked(name)}`));
    return assets.get(name);
  }

  // ---- elements: what comes from data is text, never markup

  function fill(made, attributes, children) {
    for (const [key, value] of Object.entries(attributes ?? {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (key === "style") for (const [name, of] of Object.entries(value)) made.style.setProperty(name, of);
      else if (key === "href" && /^\s*(javascript|vbscript|data):/i.test(value)) throw new Error(`${value} is no link`);
      else made.setAttribute(key, value === true ? "" : String(value));
    }
    made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return made;
  }
  // on<event> takes a function, style an object of properties; false and null are left out.
  const element = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
  const by = (id) => document.getElementById(id);

  // ---- numbers and colours

  // Four digits, with a true minus.
  function number(x, digits = 4) {
    if (x === null || x === undefined || Number.isNaN(x)) return "–";
    if (!Number.isFinite(x)) return x > 0 ? "∞" : `${MINUS}∞`;
    if (x === 0) return "0";
    const size = Math.abs(x);
    return (x < 0 ? MINUS : "") + (size >= 1e6 || size < 1e-3 ? scientific(size, digits) : decimal(size, digits));
  }
  function decimal(size, digits) {
    const before = Math.trunc(size).toString().length; // all digits before the point, whatever was asked for
    return String(Number.isInteger(size) ? size : Number(size.toPrecision(Math.max(digits, before))));
  }
  function scientific(size, digits) {
    const [mantissa, exponent] = size.toExponential(digits - 1).split("e");
    const power = [...String(Number(exponent))].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("");
    return `${digits > 1 ? mantissa.replace(/\.?0+$/, "") : mantissa}×10${power}`;
  }
  const signed = (x, digits) => (x > 0 ? "+" : "") + number(x, digits);
  const whole = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const percent = (share) => {
    if (share === null || share === undefined || Number.isNaN(share)) return "–";
    const of = 100 * share;
    if (of >= 99.95 && of < 100) return "> 99.9 %";
    return of > 0 && of < 0.05 ? "< 0.1 %" : `${Number(of.toFixed(1))} %`;
  };

  // [r, g, b] of a value in −1 … 1, as everywhere in sciexplain: blue below zero, red above.
  function rgb(value) {
    const steps = report().colours;
    const place = (Math.min(1, Math.max(-1, value || 0)) + 1) / 2 * (steps.length - 1);
    const low = Math.floor(place), high = Math.min(low + 1, steps.length - 1);
    return steps[low].map((from, i) => Math.round(from + (place - low) * (steps[high][i] - from)));
  }
  const colour = (value) => `rgb(${rgb(value).join(", ")})`;

  // The scale that belongs to a heatmap: −limit … 0 … +limit, and what is measured.
  function colourBar(limit, what) {
    const stops = Array.from({ length: 17 }, (_, i) => colour(i / 8 - 1));
    const said = `Colours from ${number(-limit)} (blue) over 0 to ${number(limit)} (red): ${what}`;
    const ends = [number(-limit), "0", signed(limit)].map((text) => element("span", {}, text));
    return element("div", { class: "scale", role: "img", "aria-label": said },
      element("div", { class: "scale-bar", style: { "background-image": `linear-gradient(to right, ${stops})` } }),
      element("div", { class: "scale-ends" }, ends),
      element("div", { class: "scale-what" }, what));
  }

  // ---- the report

  const report = () => received("report");
  const className = (index) => {
    if (index === null || index === undefined || Number.isNaN(index)) return "–";
    const name = report().classes?.[index];
    return name === undefined ? String(index) : name;
  };

  // ---- files to take away

  function download(name, text, type) {
    const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    const link = element("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  // A spreadsheet would take such text for a formula and run it.
  const FORMULA = /^(?:[=@\t\r]|[+-](?=[^\d.\s]).)/;
  function cell(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "";
    if (typeof value === "number") return String(value);
    const text = FORMULA.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }
  const csv = (heads, rows) => [heads, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");

  // ---- dark and light

  const THEME = "sciexplain-theme";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remembered = () => { try { return localStorage.getItem(THEME); } catch { return null; } };
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const told = () => document.dispatchEvent(new CustomEvent("sciexplain:theme", { detail: { dark: isDark() } }));
  function setTheme(theme) {
    if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  }
  function toggleTheme() {
    setTheme(isDark() ? "light" : "dark");
    try { localStorage.setItem(THEME, root.dataset.theme); } catch { /* a page from disk may have no storage */ }
    told();
  }
  setTheme(remembered());
  dark.addEventListener("change", told);

  // ---- keys

  const keys = [];
  const TYPING = "input:not([type=checkbox]):not([type=radio]), select, textarea, [contenteditable], "
    + "[role=application], [role=slider]";
  // A key for the page: on(["j", "ArrowRight"], "next sample", act). What is typed into a field stays there.
  const on = (names, what, act) => { keys.push({ names, what, act }); };
  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const at = event.target instanceof Element ? event.target : document.body;
    if (at.closest(TYPING) && event.key !== "Escape") return;
    if (document.querySelector("dialog[open]") && event.key !== "Escape") return;
    const found = keys.find((key) => key.names.includes(event.key));
    if (found && found.act(event) !== false) event.preventDefault();
  }

  const SHOWN = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };
  function help() {
    const cap = (name, i) => [i ? " " : null, element("kbd", {}, SHOWN[name] ?? name)];
    const row = ({ names, what }) => element("tr", {}, element("td", {}, names.map(cap)), element("td", {}, what));
    by("help-keys").replaceChildren(...keys.filter((key) => key.what).map(row));
    by("help").showModal();
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.addEventListener("keydown", pressed);
    by("theme")?.addEventListener("click", toggleTheme);
    by("help-open")?.addEventListener("click", help);
    on(["t"], "dark or light", toggleTheme);
    on(["?"], "this help", help);
  });

  // A sentence where something would have been.
  function fail(place, error) {
    place.replaceChildren(element("p", { class: "problem", role: "alert" }, String(error?.message ?? error)));
  }

  // How samples are drawn, by the name that the report's `view` has:
  //   draw(element, sample, context)       the sample's page
  //   thumbnail(element, sample, context)  a tile of the gallery
  //   numbers(sample, context)             if there, {title, columns, rows} of the table below it
  //   tile                                 if there, {width, aspect} of a tile, in pixels and as CSS has it
  const views = Object.create(null);
  const context = (signal) => ({ meta: report().meta, colour, rgb, number, colourBar, signal });

  return {
    load, forget, receive, received, asset, element, svg, by, number, signed, whole, percent, rgb, colour, colourBar,
    report, className, download, csv, isDark, on, fail, views, context,
  };
})();
