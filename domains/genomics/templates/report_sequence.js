"use strict";
// A sequence to zoom and pan: relevance of its letters, and the sites, motifs and genes in it.
(() => {
  const { element, svg, signed, number, csv, download, isDark } = sciexplain;
  const FEWEST = 20, STEP = 1.4, PAN = 0.15;
  // Kept from one sample to the next, so that they can be compared.
  const choice = { fit: false, hypothetical: false, genome: true };
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const count = (n, noun) => `${String(n).replace(/\B(?=(\d{3})+$)/g, ",")} ${noun}${n === 1 ? "" : "s"}`;
  let current = null; // the view on the page, for the table below it

  class View {
    constructor(place, data, context) {
      Object.assign(this, { place, meta: context.meta, context, cursor: null, asked: false, boxes: [], frames: 0 });
      this.track = new sciexplain.sequence.Track(data, context.meta);
      this.track.turn(choice.genome);
      this.unit = context.meta.unit ? ` ${context.meta.unit}` : "";
      this.letter = this.meta.alphabet === "protein" ? "residue" : this.track.interval ? "base" : "letter";
      this.least = Math.min(this.track.length, FEWEST);
      this.view = { left: 0, right: this.track.length };
    }

    // ---- the page

    build() {
      const button = (label, text, act) => element("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
      const toggle = (label, title, key, act) => {
        const made = element("button", { type: "button", title, "aria-pressed": String(choice[key]), onclick: () => {
          choice[key] = !choice[key];
          made.setAttribute("aria-pressed", String(choice[key]));
          act?.();
          this.arrange();
        } }, label);
        return made;
      };
      this.field = element("input", { type: "search", placeholder: this.meta.tracks.includes("genes") ? "place, gene or motif" : "place or motif", "aria-label": "Go to a place, a gene, a motif, or some letters" });
      this.canvas = element("canvas", { "aria-hidden": "true" });
      this.stage = element("div", {
        class: "sequence-stage", role: "application", tabindex: "0", "aria-roledescription": "sequence track",
        "aria-label": `Relevance along ${count(this.track.length, this.letter)}. Left and right arrow move, plus and minus zoom, Home and End go to the ends, 0 shows all; comma and full stop read letter by letter, n and p go to the next and previous site.`,
      }, this.canvas);
      this.where = element("p", { class: "sequence-where" });
      this.read = element("p", { class: "sequence-read", role: "status" });
      this.place.append(element("div", { class: "sequence" },
        element("div", { class: "sequence-tools" },
          element("span", { class: "sequence-group" },
            button("To the left (←)", "◀", () => this.pan(-0.5)), button("Zoom out (−)", "−", () => this.zoom(2)),
            button("Zoom in (+)", "+", () => this.zoom(0.5)), button("To the right (→)", "▶", () => this.pan(0.5)), button("The whole sequence (0)", "all", () => this.show(0, this.track.length))),
          element("form", { class: "sequence-group", onsubmit: (event) => { event.preventDefault(); this.go(); } }, this.field, element("button", {}, "Go")),
          element("span", { class: "sequence-group" },
            toggle("Fit height", "Scale the axis to what is in view, not to the whole sequence", "fit"),
            this.track.data.hypothetical && toggle("Hypothetical", "What each letter would get in each place", "hypothetical"),
            this.track.minus && toggle("Along the genome", "Off: as the model was shown it, along the − strand", "genome", () => this.turn())),
          element("span", { class: "sequence-group sequence-save" },
            button("Save the letters in view as a table", "CSV", () => this.save()), button("Save this picture", "PNG", () => this.picture()))),
        this.where, this.stage, this.read, element("p", { class: "sequence-says quiet" }, this.says())));
      this.probes = Object.fromEntries(["ink", "quiet", "page", "ground", "line", "strong", "mark", "gene"].map((name) => [name, element("span", { class: `sequence-${name}`, hidden: true })]));
      this.place.append(...Object.values(this.probes));
      this.listen();
      this.leave();
      this.arrange();
    }

    says() {
      const { track } = this, parts = [];
      const axis = track.interval ? `${track.interval.chrom}, bases counted from 1` : "positions counted from 0";
      parts.push(`The axis: ${axis}${track.minus ? "; the − strand was explained" : ""}.`);
      parts.push(`What stands on the line ${this.meta.says[0]}, what hangs from it ${this.meta.says[1]}.`);
      if (this.meta.tracks.includes("hits")) parts.push("Sites and motifs are red where their relevance is positive, blue where it is negative.");
      parts.push("Drag to move; Ctrl and the wheel, two fingers or a double click to zoom. In the track, ← → move, + − zoom, comma and full stop read letter by letter, n and p go from site to site.");
      return parts.join(" ");
    }

    // ---- painting, once a frame at most

    inks() {
      const found = Object.fromEntries(Object.entries(this.probes).map(([name, probe]) => [name, getComputedStyle(probe).color]));
      const dark = isDark() && !this.printing, strength = dark ? 0.62 : 0.85;
      return { ...found, for: this.context.colour(strength), against: this.context.colour(-strength), letters: this.meta[dark ? "dark" : "light"] };
    }
    arrange() { this.made = null; this.request(); }
    request() {
      if (this.asked) return;
      this.asked = true;
      requestAnimationFrame(() => { this.asked = false; this.paint(); });
    }
    paint() {
      const width = this.stage.clientWidth;
      if (!width) return;
      const begun = performance.now();
      if (this.made?.width !== width || !this.ink) {
        this.ink = this.inks();
        this.made = sciexplain.sequence.paint.layout(this.canvas.getContext("2d"), this.track, width, choice);
        Object.assign(this.canvas.style, { width: `${width}px`, height: `${this.made.height}px` });
      }
      const { boxes, mode } = sciexplain.sequence.paint(this.canvas, this.track, this.view, this.made, this.ink, choice, this.cursor, devicePixelRatio || 1);
      this.boxes = boxes;
      const { left, right } = this.view;
      this.where.replaceChildren(element("b", {}, this.track.place(left, right)), ` · ${count(Math.round(right - left), this.letter)}${right - left < this.track.length ? ` of ${count(this.track.length, this.letter)}` : ""}`);
      // For tests and for styles of others: which letters are where, and how they are drawn.
      Object.assign(this.stage.dataset, { left, right, mode, plot: `${this.made.left} ${this.made.plot}`, frames: ++this.frames, milliseconds: (performance.now() - begun).toFixed(2) });
    }

    // ---- moving

    show(left, right) {
      const { length } = this.track, width = clamp(right - left, this.least, length);
      const from = clamp((left + right - width) / 2, 0, length - width);
      this.view = { left: from, right: from + width };
      this.request();
    }
    // Around a place of the stage, which stays where it is; without one around the cursor or the middle.
    zoom(factor, around = null) {
      const { left, right } = this.view;
      const seen = this.cursor !== null && this.cursor >= left && this.cursor < right ? this.cursor + 0.5 : (left + right) / 2;
      const at = around ?? seen, width = clamp((right - left) * factor, this.least, this.track.length);
      const from = at - ((at - left) / (right - left)) * width;
      this.show(from, from + width);
    }
    pan(share) {
      const { left, right } = this.view, step = clamp(share * (right - left), -left, this.track.length - right);
      this.show(left + step, right + step);
    }
    turn() {
      this.track.turn(choice.genome);
      this.track.stacked = null;
      const { length } = this.track, { left, right } = this.view;
      if (this.cursor !== null) this.cursor = length - 1 - this.cursor;
      this.show(length - right, length - left);
    }
    go() {
      const found = this.track.find(this.field.value);
      if (!found) { this.read.textContent = this.field.value.trim() ? `Nothing here is called ${this.field.value.trim()}.` : ""; return; }
      if (found.whole) this.show(...found.whole);
      else this.around(...found.about);
      this.stage.focus({ preventScroll: true });
    }
    around(left, right) {
      const room = Math.max(0.2 * (right - left), 30);
      this.show(left - room, right + room);
    }
    next(way) {
      const { sites, hits } = this.track.features, middle = (this.view.left + this.view.right) / 2;
      const found = (sites.length ? sites : hits).filter((f) => way * ((f.left + f.right) / 2 - middle) > 0.51);
      if (!found.length) return;
      const to = found.reduce((best, f) => (way * (f.left + f.right - best.left - best.right) < 0 ? f : best));
      const width = Math.min(this.view.right - this.view.left, Math.max(120, 3 * (to.right - to.left)));
      this.show((to.left + to.right - width) / 2, (to.left + to.right + width) / 2);
      this.read.textContent = this.said(to);
    }

    // ---- reading

    edge(x) { return this.view.left + ((x - this.made.left) / this.made.plot) * (this.view.right - this.view.left); }
    point(event) {
      const box = this.canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    }
    hover({ x, y }) {
      const { made, track, view } = this;
      if (!made || x < made.left || x >= made.left + made.plot || y < made.parts.relevance.top - 10) return this.leave();
      const perPixel = (view.right - view.left) / made.plot, from = this.edge(x);
      const many = perPixel > 1;
      this.cursor = many ? track.strongest(from, Math.max(from + perPixel, from + 1)) : clamp(Math.floor(from), 0, track.length - 1);
      const feature = this.boxes.find((b) => x >= b.left && x <= b.right && y >= b.top && y <= b.bottom)?.feature;
      this.tell(feature, many ? [from, from + perPixel] : null);
    }
    leave() {
      this.read.replaceChildren(element("span", { class: "quiet" }, `Point at a ${this.letter} to read it.`));
      if (this.cursor === null) return;
      this.cursor = null;
      this.request();
    }
    tell(feature = null, among = null) {
      const j = this.cursor, { track } = this;
      const parts = [element("b", {}, `${track.interval ? `${track.interval.chrom}:` : "position "}${track.written(j)}`), ` ${track.letters[j]} `,
        element("b", { class: "sequence-value" }, signed(track.values[j], 6)), this.unit];
      if (among) parts.push(` (the strongest of ${count(Math.max(1, Math.ceil(among[1]) - Math.floor(among[0])), this.letter)} here)`);
      if (choice.hypothetical && track.hypothetical && !among) parts.push(` · hypothetical: ${track.hypothetical.map(({ letter, values }) => `${letter} ${signed(values[j], 3)}`).join(", ")}`);
      if (feature) parts.push(" · ", element("bdi", {}, this.said(feature)));
      this.read.replaceChildren(...parts);
      this.request();
    }
    said(feature) {
      const strand = feature.strand === "+" || feature.strand === "-" ? `, ${feature.strand.replace("-", "−")} strand` : "";
      const place = this.track.place(feature.left, feature.right);
      if (feature.kind === "site") return `site ${feature.name}, ${place}: relevance ${signed(feature.value)}${this.unit}, q ${number(feature.q, 2)}`;
      if (feature.kind === "motif") return `motif ${feature.name}${feature.match ? ` (${feature.match})` : ""}, ${place}${strand}: relevance ${signed(feature.value)}${this.unit}, p ${number(feature.p, 2)}`;
      const linked = feature.q === null || feature.q === undefined ? "" : `; linked to a site, q ${number(feature.q, 2)}`;
      return `gene ${feature.name}${feature.id === feature.name ? "" : ` (${feature.id})`}${strand}${linked}`;
    }
    step(by) {
      const { left, right } = this.view, first = clamp(Math.round((left + right) / 2), 0, this.track.length - 1);
      this.cursor = this.cursor === null ? first : clamp(this.cursor + by, 0, this.track.length - 1);
      if (this.cursor < left || this.cursor >= right) this.show(left + by, right + by);
      if (this.cursor < this.view.left || this.cursor >= this.view.right) this.show(this.cursor - (right - left) / 2, this.cursor + (right - left) / 2);
      this.tell(this.inside(this.cursor));
    }
    inside(j) {
      const { sites, hits } = this.track.features;
      return [...hits, ...sites].find((f) => j >= f.left && j < f.right) ?? null;
    }

    // ---- pointers and keys

    listen() {
      const { signal } = this.context, { stage } = this, fingers = new Map();
      const on = (target, name, act, options = {}) => target.addEventListener(name, act, { signal, ...options });
      const inOverview = (y) => y < this.made.parts.overview.top + this.made.parts.overview.height + 4;
      const overview = (x) => {
        const middle = ((x - this.made.left) / this.made.plot) * this.track.length, half = (this.view.right - this.view.left) / 2;
        this.show(middle - half, middle + half);
      };
      on(stage, "wheel", (event) => {
        const scale = event.deltaMode === 1 ? 16 : 1;
        if (event.ctrlKey || event.metaKey) {
          event.preventDefault();
          this.zoom(Math.exp(clamp(event.deltaY * scale, -120, 120) * 0.004), this.edge(this.point(event).x));
        } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
          event.preventDefault();
          this.pan(((event.deltaX || event.deltaY) * scale) / this.made.plot);
        }
      }, { passive: false });
      on(stage, "pointerdown", (event) => {
        if (event.button || !this.made) return;
        stage.setPointerCapture(event.pointerId);
        const at = this.point(event);
        fingers.set(event.pointerId, { ...at, whole: inOverview(at.y) });
        if (inOverview(at.y)) overview(at.x);
      });
      on(stage, "pointermove", (event) => {
        if (!this.made) return;
        const at = this.point(event), finger = fingers.get(event.pointerId);
        if (!finger) return event.pointerType === "touch" ? undefined : this.hover(at);
        if (finger.whole) return overview(at.x);
        if (fingers.size === 2) {
          const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
          const before = Math.max(20, Math.abs(finger.x - other.x)), after = Math.max(20, Math.abs(at.x - other.x));
          this.zoom(before / after, this.edge((at.x + other.x) / 2));
        } else this.pan((finger.x - at.x) / this.made.plot);
        stage.classList.add("dragged");
        Object.assign(finger, at);
      });
      const up = (event) => {
        const finger = fingers.get(event.pointerId);
        fingers.delete(event.pointerId);
        if (finger && !stage.classList.contains("dragged") && this.made) this.hover(this.point(event));
        stage.classList.remove("dragged");
      };
      on(stage, "pointerup", up);
      on(stage, "pointercancel", up);
      on(stage, "pointerleave", () => { if (!fingers.size && document.activeElement !== stage) this.leave(); });
      on(stage, "dblclick", (event) => {
        const at = this.point(event), box = this.boxes.find((b) => at.x >= b.left && at.x <= b.right && at.y >= b.top && at.y <= b.bottom);
        if (box) this.around(Math.max(0, box.feature.left), Math.min(this.track.length, box.feature.right));
        else if (!inOverview(at.y)) this.zoom(event.shiftKey ? 2.5 : 0.4, this.edge(at.x));
      });
      on(stage, "keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const { length } = this.track, width = this.view.right - this.view.left;
        const acts = {
          ArrowLeft: () => this.pan(-PAN), ArrowRight: () => this.pan(PAN), PageUp: () => this.pan(-0.9), PageDown: () => this.pan(0.9),
          Home: () => this.show(0, width), End: () => this.show(length - width, length), 0: () => this.show(0, length),
          "+": () => this.zoom(1 / STEP), "=": () => this.zoom(1 / STEP), ArrowUp: () => this.zoom(1 / STEP), "-": () => this.zoom(STEP), ArrowDown: () => this.zoom(STEP),
          ",": () => this.step(-1), ".": () => this.step(1), n: () => this.next(1), p: () => this.next(-1),
          f: () => this.place.querySelector("[aria-pressed]").click(), Escape: () => { this.leave(); stage.blur(); },
        };
        const act = acts[event.key];
        if (!act) return;
        event.preventDefault();
        event.stopPropagation();
        act();
      });
      const watch = new ResizeObserver(() => { if (this.made?.width !== stage.clientWidth) this.arrange(); });
      watch.observe(stage);
      signal.addEventListener("abort", () => watch.disconnect());
      on(document, "sciexplain:theme", () => { this.ink = null; this.arrange(); });
      on(window, "resize", () => this.request()); // zooming the page changes the number of its pixels
      for (const [name, printing] of [["beforeprint", true], ["afterprint", false]]) on(window, name, () => {
        this.printing = printing;
        for (const probe of Object.values(this.probes)) probe.style.colorScheme = printing ? "light" : "";
        this.ink = null;
        this.paint();
      });
    }

    // ---- to take away

    save() {
      const { track, view } = this, rows = [];
      for (let j = Math.floor(view.left), end = Math.ceil(view.right); j < end; j++) rows.push([track.number(j), track.letters[j], track.values[j], ...(track.hypothetical ?? []).map(({ values }) => values[j])]);
      const place = track.interval ? `base on ${track.interval.chrom}, from 1` : "position, from 0";
      const heads = [place, "letter", `relevance${this.unit && ` (${this.meta.unit})`}`, ...(track.hypothetical ?? []).map(({ letter }) => `hypothetical ${letter}`)];
      download(`${this.name()}.csv`, csv(heads, rows), "text/csv");
    }
    picture() {
      this.canvas.toBlob((blob) => download(`${this.name()}.png`, blob, "image/png"));
    }
    name() { return this.track.place(this.view.left, this.view.right).replace(/[^A-Za-z0-9._-]+/g, "_"); }
  }

  // ---- what lies in the sequence, as a table whose rows show it

  function listed(track) {
    const { sites, hits, genes } = track.features, first = (a, b) => a.left - b.left;
    return [sites, hits, genes.filter((gene) => gene.q !== null && gene.q !== undefined)].flatMap((list) => [...list].sort(first));
  }
  function numbers(data, context) {
    const { track } = current ?? { track: new sciexplain.sequence.Track(data, context.meta) };
    const all = listed(track);
    if (!all.length) return null;
    const rows = all.map((f) => {
      const ends = [f.left, f.right - 1].map((letter) => track.number(letter)).sort((a, b) => a - b);
      // Without commas, so that it sorts, and browsers of genomes take it.
      const place = `${track.interval ? `${track.interval.chrom}:` : ""}${ends.join("-")}`;
      return [f.kind, f.name, f.match ?? "", place, f.strand.replace("-", "−"), f.value ?? null, f.p ?? null, f.q ?? null];
    });
    const columns = [["what"], ["name"], ["known motif like it"], ["place"], ["strand"], ["relevance", "number", context.meta.unit || ""], ["p", "number"], ["q", "number"]];
    const kept = columns.map((_, c) => c < 2 || rows.some((row) => row[c] !== "" && row[c] !== null));
    return {
      title: "What lies in it",
      columns: columns.filter((_, c) => kept[c]).map(([name, kind = "text", unit = ""]) => ({ name, kind, unit })),
      rows: rows.map((row) => row.filter((_, c) => kept[c])),
      onrow: (i, line) => {
        const cell = line.cells[1], show = element("button", { type: "button", class: "sequence-show", title: "Show it in the track" });
        show.append(...cell.childNodes);
        show.addEventListener("click", () => {
          // It may have been turned round since.
          const feature = Object.values(current.track.features).flat().find((f) => f.key === all[i].key);
          current.around(Math.max(0, feature.left), Math.min(current.track.length, feature.right));
          current.stage.scrollIntoView({ block: "nearest" });
          current.stage.focus({ preventScroll: true });
        });
        cell.append(show);
      },
    };
  }

  // ---- in the gallery

  const BINS = 120, TALL = 40, BELOW = 5;
  function thumbnail(element, data, { meta }) {
    const track = new sciexplain.sequence.Track(data, meta);
    track.turn(true);
    const columns = Math.min(BINS, track.length), { low, high } = track.bins(0, track.length, columns), width = BINS / columns;
    const top = Math.max(...high, 0), bottom = Math.min(...low, 0), unit = TALL / (top - bottom || 1);
    const path = (values) => values.reduce((d, value, c) => (value ? `${d}M${(c * width).toFixed(2)} ${(top * unit).toFixed(2)}v${(-value * unit).toFixed(2)}h${width.toFixed(2)}V${(top * unit).toFixed(2)}z` : d), "");
    const marks = track.features.sites.map((f) => svg("rect", { class: f.value < 0 ? "against" : "for", x: (f.left / track.length) * BINS, y: TALL + 1.5, width: Math.max(1, ((f.right - f.left) / track.length) * BINS), height: BELOW - 2 }));
    element.append(svg("svg", { class: "sequence-thumbnail", viewBox: `0 0 ${BINS} ${TALL + BELOW}`, preserveAspectRatio: "none", role: "img", "aria-label": `Relevance along ${count(track.length, "letter")}, ${count(track.features.sites.length, "site")}` },
      svg("path", { class: "for", d: path([...high]) }), svg("path", { class: "against", d: path([...low]) }),
      svg("path", { class: "line", d: `M0 ${(top * unit).toFixed(2)}h${BINS}`, "vector-effect": "non-scaling-stroke" }), marks));
  }

  // ---- in the audit: the mean over many sequences, by position

  function mean(place, { of, values }) {
    const [wide, tall, below] = [360, 90, 16], step = wide / values.length, top = Math.max(...values, 0), unit = tall / (top - Math.min(...values, 0) || 1);
    const bars = (sign) => values.map((v, i) => (sign * v > 0 ? `M${(i * step).toFixed(2)} ${(top * unit).toFixed(2)}v${(-v * unit).toFixed(2)}h${(step + 0.05).toFixed(2)}V${(top * unit).toFixed(2)}z` : "")).join("");
    const ticks = [0, 0.5, 1].map((share) => svg("text", { class: "quiet", x: share * wide, y: tall + 13, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle" }, String(Math.round(share * of[0]))));
    place.append(svg("svg", { class: "sequence-mean", width: wide, height: tall + below, viewBox: `0 0 ${wide} ${tall + below}`, role: "img", "aria-label": `Mean relevance by position, 0 to ${of[0]}` },
      svg("path", { class: "for", d: bars(1) }), svg("path", { class: "against", d: bars(-1) }), svg("path", { class: "line", d: `M0 ${(top * unit).toFixed(2)}H${wide}` }), ticks));
  }

  sciexplain.views.sequence = {
    mean,
    tile: { width: 240, aspect: "3 / 1" },
    thumbnail,
    draw(place, data, context) {
      current = new View(place, data, context);
      current.build();
      context.signal.addEventListener("abort", () => { current = null; });
    },
    numbers,
  };
})();
